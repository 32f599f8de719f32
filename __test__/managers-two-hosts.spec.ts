/** A manager on one host and its client on another, each in a network namespace of its own. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { underWatchdog } from './helpers/watchdog.js'

const NAME = `mp${process.pid}`
const [SERVER, CLIENT] = [`${NAME}a`, `${NAME}b`]

const ip = (...args: string[]): boolean => spawnSync('ip', args).status === 0

const inNamespace = (namespace: string, ...args: string[]) => {
  const program = fileURLToPath(new URL('./fixtures/managers/host.js', import.meta.url))
  const command = ['netns', 'exec', namespace, process.execPath, program, ...args]
  return spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Two hosts with a cable between them; false where this user may not make them. */
const made =
  ip('netns', 'add', SERVER) &&
  ip('netns', 'add', CLIENT) &&
  ip('link', 'add', SERVER, 'type', 'veth', 'peer', 'name', CLIENT) &&
  ip('link', 'set', SERVER, 'netns', SERVER) &&
  ip('link', 'set', CLIENT, 'netns', CLIENT) &&
  ip('-n', SERVER, 'addr', 'add', '10.77.0.1/24', 'dev', SERVER) &&
  ip('-n', CLIENT, 'addr', 'add', '10.77.0.2/24', 'dev', CLIENT) &&
  ip('-n', SERVER, 'link', 'set', SERVER, 'up') &&
  ip('-n', CLIENT, 'link', 'set', CLIENT, 'up')

test.after.always(() => {
  ip('netns', 'del', SERVER)
  ip('netns', 'del', CLIENT)
})

const whereMade = made ? test.serial : test.serial.skip

whereMade('a client on another host', async (t) => {
  await underWatchdog(async () => {
    const server = inNamespace(SERVER, 'serve', '10.77.0.1')
    t.teardown(() => server.kill('SIGKILL'))
    const [port] = await once(server.stdout.setEncoding('utf8'), 'data')
    const client = inNamespace(CLIENT, 'use', '10.77.0.1', String(port).trim())
    let said = ''
    client.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    const [code] = await once(client, 'close')
    t.is(code, 0)
    t.is(said, "['hello', 'from', 'afar']\n3\n")
    server.kill()
    await once(server, 'close')
  })
})

import { once } from 'node:events'
import { chmodSync, closeSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join as joinPath } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as mp from 'node-multiprocessing'
import { DupFd } from 'node-multiprocessing/reduction'
import { openEveryDescriptorBelow } from '../fixtures/conformance/descriptors.js'
import { doNothing, mapInPool, sendStateOfDescriptor } from '../fixtures/conformance/start-up.js'
import { forms } from '../helpers/calls.js'
import { descriptorOf } from '../helpers/descriptor-of.js'
import { optionsForFork } from '../helpers/fork-options.js'
import { nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'
import { runProgram } from '../helpers/run-program.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

nothingIsLeftBehind()

const program = (name: string): URL =>
  new URL(`../fixtures/conformance/${name}.js`, import.meta.url)

rowInBothForms('_TestProcess.test_set_executable', async (t, { calls, method }) => {
  t.teardown(() => mp.setExecutable(process.execPath))
  const exitcodeOfChild = async (): Promise<number | null> => {
    const p = new mp.Process({ target: doNothing })
    p.start()
    await calls.join(p)
    return p.exitcode
  }
  const path = process.execPath
  for (const executable of [path, Buffer.from(path), pathToFileURL(path)]) {
    mp.setExecutable(executable)
    t.is(await exitcodeOfChild(), 0)
  }

  if (method !== 'spawn') return
  const folder = temporaryFolder(t)
  const script = joinPath(folder, 'node with a note')
  const note = joinPath(folder, 'note')
  writeFileSync(script, `#!/bin/sh\necho used > '${note}'\nexec '${path}' "$@"\n`)
  chmodSync(script, 0o755)
  mp.setExecutable(script)
  t.is(await exitcodeOfChild(), 0)
  t.is(readFileSync(note, 'utf8'), 'used\n')
})

row('TestFlags.test_flags', async (t, { method }) => {
  const execArgv = ['--no-warnings', '--stack-trace-limit=7', '--expose-gc', '-C', 'unusual']
  const env = { NODE_OPTIONS: '--max-old-space-size=200' }
  const outcome = await runProgram(program('flags'), { execArgv, env, args: [method] })
  t.like(outcome, { code: 0, stderr: '' })
  const [own, ofChild] = JSON.parse(outcome.stdout)
  t.deepEqual(ofChild, own)
  t.deepEqual(own, {
    execArgv: [...optionsForFork(), ...execArgv],
    nodeOptions: env.NODE_OPTIONS,
    stackTraceLimit: 7,
    hasGarbageCollector: true,
  })
})

row('TestNoForkBomb.test_noforkbomb', async (t, { method }) => {
  for (const form of forms) {
    const { code, stderr, stdout } = await runProgram(program('fork-bomb'), {
      args: [method, form],
    })
    if (method === 'fork') {
      t.like({ code, stderr, stdout }, { code: 0, stderr: '', stdout: '123\n' })
    } else {
      t.is(code, 1)
      t.is(stdout, '')
      t.is(stderr.match(/^RuntimeError\b|: RuntimeError\b/gm)?.length, 1, stderr)
    }
  }
})

rowInBothForms('TestCloseFds.test_closefd', async (t, { calls, method }) => {
  // No new child has descriptors as high as these two: one made by Node, one by this package.
  const low = openEveryDescriptorBelow(200)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = descriptorOf(server)
  const duplicate = new DupFd(socket).detach()
  for (const descriptor of low) closeSync(descriptor)

  for (const descriptor of [socket, duplicate]) {
    t.true(descriptor >= 200)
    const [reader, writer] = mp.Pipe()
    const p = new mp.Process({ target: sendStateOfDescriptor, args: [writer, descriptor] })
    p.start()
    writer.close()
    const outcome: unknown = await calls.recv(reader)
    await calls.join(p)
    // A copy has all that its parent has, but for servers: whose connections are they?
    if (method === 'fork' && descriptor === duplicate) t.is(outcome, null)
    else t.like(outcome, { code: 'EBADF' })
    reader.close()
  }

  closeSync(duplicate)
  server.close()
  await once(server, 'close')
})

rowInBothForms('TestStdinBadfiledescriptor.test_pool_in_process', async (t, { calls }) => {
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: mapInPool, args: [writer, calls.form] })
  p.start()
  writer.close()
  t.deepEqual(await calls.recv(reader), [1, 4, 9, 16, 25, 36, 49])
  await calls.join(p)
  t.is(p.exitcode, 0)
  reader.close()
})

row('_TestSpawnedSysPath.test_child_sys_path', async (t, { method }) => {
  const folder = temporaryFolder(t)
  const place = (name: string, text: string): string => {
    const path = joinPath(folder, name)
    writeFileSync(path, text)
    return path
  }
  for (const name of ['modules', 'elsewhere']) mkdirSync(joinPath(folder, name))
  place('modules/only-by-node-path.json', '"by NODE_PATH"')
  place('answer.mjs', "export const answer = 'by the loader'\n")
  place(
    'hooks.mjs',
    `export const resolve = (name, context, next) =>
       name === 'only-by-loader'
         ? { url: new URL('./answer.mjs', import.meta.url).href, shortCircuit: true }
         : next(name, context)\n`,
  )
  place(
    'loader.mjs',
    `import { register } from 'node:module'
     register('./hooks.mjs', import.meta.url)\n`,
  )
  const elsewhere = joinPath(folder, 'elsewhere')
  const nodePath = joinPath(folder, 'modules')

  // The relative name is good in the folder the program starts in, not in the one it goes to.
  const outcome = await runProgram(program('search-path'), {
    args: [method, elsewhere],
    // Later Nodes would rather have the hooks of another function.
    execArgv: ['--disable-warning=DEP0205', '--import', './loader.mjs'],
    cwd: folder,
    env: { NODE_PATH: nodePath },
  })
  t.like(outcome, { code: 0, stderr: '' })
  const expected = {
    folder: elsewhere,
    nodePath,
    byNodePath: 'by NODE_PATH',
    byLoader: 'by the loader',
  }
  t.deepEqual(JSON.parse(outcome.stdout), [expected, expected])
})

/** The start method fork: what a copy of a process leaves to its parent, and what it is refused. */
import test from 'ava'
import { program } from './fixtures/process-programs.js'
import { FORK_OPTIONS } from './helpers/fork-options.js'

const onLinux = process.platform === 'linux' ? test : test.skip

const execArgv = FORK_OPTIONS

/** Runs a program in which `copy(target)` runs a function in a copy, and says how that ended. */
const prints = (title: string, source: string, expected: string, files = {}): void => {
  const head = `
    import * as fs from 'node:fs'
    import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)
    mp.setStartMethod('fork')
    const say = (text) => fs.writeSync(1, text + ' ')
    const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time))
    const copy = (target) => {
      const child = new mp.Process({ target })
      child.start()
      child.joinSync(10_000)
      say('ended ' + child.exitcode)
      if (child.exitcode === null) child.kill()
    }
  `
  onLinux(title, async (t) => {
    const outcome = await program(t, head + source, { execArgv, files })
    const { code, stderr, stdout } = outcome
    t.deepEqual({ code, stderr, stdout: stdout.trim() }, { code: 0, stderr: '', stdout: expected })
  })
}

prints(
  'immediates, ticks and timers are those of the parent',
  `const all = () => { say('copy'); setImmediate(() => say('own')) }
   setImmediate(() => say('1'))
   setImmediate(() => copy(all))
   setImmediate(() => say('2'))
   await sleep(20)
   process.nextTick(() => copy(all))
   process.nextTick(() => say('3'))
   await sleep(20)
   setTimeout(() => copy(all), 5)
   setTimeout(() => say('4'), 5)`,
  '1 copy own ended 0 2 copy own ended 0 3 copy own ended 0 4',
)

prints(
  'a rejection that is handled later is none of the copy',
  `const failed = (async () => { throw new Error() })()
   copy(() => say('copy'))
   await failed.catch(() => say('handled'))`,
  'copy ended 0 handled',
)

prints(
  'a copy of a copy of a copy ends',
  `const deeper = (left) => () => { say(left); if (left > 0) copy(deeper(left - 1)) }
   copy(deeper(3))`,
  '3 2 1 0 ended 0 ended 0 ended 0 ended 0',
)

prints(
  'a copy does not wait for what the thread pool of its parent does',
  `const { execFileSync } = require('node:child_process')
   const { randomBytes } = require('node:crypto')
   const { promisify } = require('node:util')
   const pipe = fs.mkdtempSync(require('node:os').tmpdir() + '/fork-') + '/pipe'
   execFileSync('mkfifo', [pipe])
   const read = fs.promises.readFile(pipe, 'utf8')
   await sleep(20)
   fs.stat('/', () => say('seen'))
   const end = Date.now() + 20
   while (Date.now() < end);
   copy(async () => {
     await fs.promises.stat('/')
     await promisify(randomBytes)(8)
     say('copy')
   })
   fs.writeFileSync(pipe, 'read')
   say(await read)
   fs.rmSync(require('node:path').dirname(pipe), { recursive: true })`,
  'copy ended 0 seen read',
)

prints(
  'a copy does not wait for processes, sockets and servers of its parent, nor hears of them',
  `const { spawn } = require('node:child_process')
   const { createSocket } = require('node:dgram')
   const { connect, createServer } = require('node:net')
   const { once } = require('node:events')
   const other = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] })
   const server = createServer().listen(0, '127.0.0.1')
   await once(server, 'listening')
   const client = connect(server.address().port, '127.0.0.1')
   const [socket] = await once(server, 'connection')
   // More than the kernel takes: the rest waits in this process.
   client.write(Buffer.alloc(2 ** 24))
   const datagrams = createSocket('udp4')
   await new Promise((resolve) => datagrams.bind(0, '127.0.0.1', resolve))
   copy(() => say('copy'))
   let length = 0
   client.end()
   for await (const chunk of socket) length += chunk.length
   say(length)
   datagrams.send('text', datagrams.address().port, '127.0.0.1')
   say(String((await once(datagrams, 'message'))[0]))
   datagrams.close()
   server.close()
   other.stdin.end()
   say('other ' + (await once(other, 'exit'))[0])`,
  `copy ended 0 ${2 ** 24} text other 0`,
)

prints(
  'a copy does not wait for worker threads of its parent, nor hears of them',
  `const { MessageChannel, Worker } = require('node:worker_threads')
   const { once } = require('node:events')
   const worker = new Worker(
     'const { parentPort } = require("worker_threads"); ' +
       'parentPort.on("message", (text) => parentPort.postMessage(text))',
     { eval: true },
   )
   const { port1, port2 } = new MessageChannel()
   port1.on('message', say)
   await once(worker, 'online')
   copy(() => say('copy'))
   copy(async () => {
     worker.postMessage('lost')
     await sleep(20)
     say('slept')
   })
   worker.postMessage('text')
   say((await once(worker, 'message'))[0])
   port2.postMessage('port')
   await once(port1, 'message')
   port1.close()
   say('thread ' + (await worker.terminate()))`,
  'copy ended 0 slept ended 0 text port thread 1',
)

prints(
  'worker threads are refused, however the class was got hold of',
  `const { Worker } = require('node:worker_threads')
   class Own extends Worker {}
   copy(async () => {
     const later = (await import('node:worker_threads')).Worker
     for (const Class of [Worker, Own, later]) {
       try {
         new Class('', { eval: true })
       } catch ({ message }) {
         say(/^worker threads cannot be used .* 'spawn'/.test(message))
       }
     }
   })
   await new Promise((resolve) => new Worker('', { eval: true }).on('exit', resolve))
   say('thread')`,
  'true true true ended 0 thread',
)

for (const how of [
  "process.on('uncaughtException',",
  'process.setUncaughtExceptionCaptureCallback(',
]) {
  prints(
    `an error that the copy deals with is not printed: ${how.slice(0, -1)}`,
    `copy(() => {
       ${how} ({ message }) => say(message))
       setTimeout(() => { throw new Error('caught') })
     })`,
    'caught ended 0',
  )
}

prints(
  'a copy is made after a module was imported at the top level',
  `const { start } = await import('./other.mjs')
   await start(() => say('copy'))
   copy(() => say('copy'))`,
  'copy other copy ended 0',
  {
    'other.mjs': `
      const mp = await import(process.argv[1].replace('main.mjs', 'package.mjs'))
      export const start = async (target) => {
        const child = new mp.Process({ target })
        child.start()
        await child.join()
        process.stdout.write('other ')
      }`,
    'package.mjs': `export * from ${JSON.stringify(import.meta.resolve('node-multiprocessing'))}`,
  },
)

test('a main module without a guard is told who could not import it', async (t) => {
  for (const [method, who] of [
    ['forkserver', 'the fork server'],
    ['spawn', 'Process-1'],
  ] as const) {
    if (method === 'forkserver' && process.platform !== 'linux') continue
    const source = `
      export const nothing = () => {}
      mp.setStartMethod('${method}', { force: true })
      const child = new mp.Process({ target: nothing, name: 'Process-1' })
      child.start()
      await child.join()
      process.exitCode = child.exitcode`
    const { code, stderr } = await program(t, source)
    t.is(code, 1)
    t.is(/RuntimeError: .* this one, (.*), still imports/.exec(stderr)?.[1], who, stderr)
  }
})

prints(
  'what a copy sends of the memory that both have is what its parent has',
  `const [mine, theirs] = mp.Pipe()
   const lock = new mp.Lock()
   const array = mp.share(new Uint8Array(4))
   copy(() => {
     array[1] = 5
     theirs.sendSync([lock, array])
   })
   const [sameLock, sameArray] = mine.recvSync()
   say([lock === sameLock, array.buffer === sameArray.buffer, sameArray[1]])`,
  'ended 0 true,true,5',
)

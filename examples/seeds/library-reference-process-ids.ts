/** The ids of the processes involved. */
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainProcess, Process } from 'node-multiprocessing'

function info(title: string) {
  console.log(title)
  console.log('module name:', basename(fileURLToPath(import.meta.url)))
  console.log('parent process:', process.ppid)
  console.log('process id:', process.pid)
}

export function f(name: string) {
  info('function f')
  console.log('hello', name)
}

if (isMainProcess) {
  info('main line')
  const p = new Process({ target: f, args: ['bob'] })
  p.start()
  await p.join()
}

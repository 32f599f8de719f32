import test from 'ava'
import * as mp from 'node-multiprocessing'
import { SharedMemoryManager } from 'node-multiprocessing/managers'
import { ensureRunning } from 'node-multiprocessing/resource-tracker'
import { ShareableList, SharedMemory } from 'node-multiprocessing/shared-memory'
import { packageUrl, program } from '../fixtures/process-programs.js'
import { calling } from '../helpers/calling.js'
import { nothingIsLeftBehind, rowInBothForms } from '../helpers/row.js'
import { exists } from '../helpers/shared-memory-programs.js'

// The tracker is there for the program's whole life.
test.serial.before(() => ensureRunning())

nothingIsLeftBehind()

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

rowInBothForms(
  '_TestSharedMemory.test_shared_memory_SharedMemoryServer_ignores_sigint',
  async (t, { context, calls: { form } }) => {
    const call = calling(form)
    const manager = new SharedMemoryManager({ context })
    await call(manager, 'start')
    const before = manager.ShareableList(upTo(10))
    process.kill(manager._process!.pid!, 'SIGINT')
    const after = manager.ShareableList(upTo(10))
    t.deepEqual([...after], upTo(10))
    t.is(manager._process?.isAlive(), true)

    // The parent goes on to have its own say about SIGINT.
    const interrupted = new Promise((resolve) => process.once('SIGINT', resolve))
    process.kill(process.pid, 'SIGINT')
    // A listener for signals keeps nothing alive.
    const alive = setInterval(() => {}, 1000)
    t.is(await interrupted, 'SIGINT')
    clearInterval(alive)
    for (const { shm } of [before, after]) shm.close()
    await call(manager, 'shutdown')
    t.is(manager._process?.exitcode, 0)
    manager._process?.close()
  },
)

test.serial(
  '_TestSharedMemory.test_shared_memory_SharedMemoryManager_reuses_resource_tracker',
  async (t) => {
    const source = `
      import { SharedMemoryManager } from ${JSON.stringify(packageUrl('node-multiprocessing/managers'))}
      const manager = new SharedMemoryManager()
      await manager.start()
      const list = manager.ShareableList([0, 1, 2])
      await manager.shutdown()
      console.log('done')
    `
    const { code, stdout, stderr } = await program(t, source)
    t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'done\n', stderr: '' })
  },
)

rowInBothForms(
  '_TestSharedMemory.test_shared_memory_SharedMemoryManager_basics',
  async (t, { context, calls: { form } }) => {
    const call = calling(form)
    const first = new SharedMemoryManager({ context })
    t.throws(() => first.SharedMemory(9), { instanceOf: mp.ValueError })
    await call(first, 'start')
    const lists = [5, 6, 7, 8, 9].map((length) => first.ShareableList(upTo(length)))
    const blocks = [32, 48, 64, 80, 96, 112].map((size) => first.SharedMemory(size))
    const sameList = new ShareableList(null, { name: lists[0]!.shm.name })
    t.is(sameList.length, 5)
    const sameBlock = new SharedMemory({ name: blocks[0]!.name })
    t.true(sameBlock.size >= 32)
    const names = [...lists.map(({ shm }) => shm.name), ...blocks.map(({ name }) => name)]
    t.true(names.every(exists))
    await call(first, 'shutdown')
    t.false(names.some(exists))
    t.throws(() => new SharedMemory({ name: names[0]! }), { instanceOf: mp.FileNotFoundError })
    for (const block of [...blocks, sameBlock, sameList.shm, ...lists.map(({ shm }) => shm)]) {
      block.close()
    }
    first._process?.close()

    const second = new SharedMemoryManager({ context })
    await call(second, 'start')
    const list = second.ShareableList(['h', 'o', 'w', 'd', 'y'])
    const block = second.SharedMemory(128)
    if (form === 'Sync') second[Symbol.dispose]()
    else await second[Symbol.asyncDispose]()
    t.throws(() => new ShareableList(null, { name: list.shm.name }), {
      instanceOf: mp.FileNotFoundError,
    })
    list.shm.close()
    block.close()
    second._process?.close()
  },
)

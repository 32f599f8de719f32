import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { ensureRunning, unregister } from 'node-multiprocessing/resource-tracker'
import { SharedMemory, type SharedMemoryOptions } from 'node-multiprocessing/shared-memory'
import { attachAndWrite } from '../fixtures/conformance/shared-memory.js'
import { program } from '../fixtures/process-programs.js'
import { nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'
import { exists, programWith } from '../helpers/shared-memory-programs.js'
import { until } from '../helpers/until.js'

// The tracker is there for the program's whole life.
test.serial.before(() => ensureRunning())

nothingIsLeftBehind()

const nameFor = (prefix: string): string => `${prefix}-${process.pid}`

/** A block that goes when the test ends. */
const block = (t: ExecutionContext, options: SharedMemoryOptions): SharedMemory => {
  const made = new SharedMemory({ create: true, ...options })
  t.teardown(() => {
    made.close()
    made.unlink()
  })
  return made
}

const notFound = { instanceOf: mp.FileNotFoundError, code: 'ENOENT' }

/** What went through a connection, to another and back. */
const sentAndReceived = async <T>(value: T, between: () => void = () => {}): Promise<T> => {
  const [a, b] = mp.Pipe()
  try {
    await a.send(value)
    between()
    return await b.recv<T>()
  } finally {
    a.close()
    b.close()
  }
}

row('_TestSharedMemory.test_shared_memory_name_with_embedded_null', (t) => {
  const name = nameFor('test01_null')
  const sms = block(t, { name, size: 512 })
  t.throws(() => new SharedMemory({ name: `${name}\0a`, create: false, size: 512 }), {
    instanceOf: mp.ValueError,
  })
  Object.defineProperty(sms, 'name', { value: `${name}\0a`, configurable: true })
  t.throws(() => sms.unlink(), { instanceOf: mp.ValueError })
  Object.defineProperty(sms, 'name', { value: name })
})

/** Blocks that get their names from a list. */
const withNames = (names: readonly string[]) => {
  const left = [...names]
  return class extends SharedMemory {
    protected static override makeName(): string {
      return left.shift()!
    }
  }
}

row('_TestSharedMemory.test_shared_memory_basics', (t) => {
  const name = nameFor('test01_tsmb')
  const sms = block(t, { name, size: 512 })
  t.is(sms.name, name)
  t.true(sms.size >= 512)
  t.true(sms.buf!.length >= sms.size)
  for (const shown of [String(sms), inspect(sms)]) {
    t.true(shown.includes(name) && shown.includes(String(sms.size)), shown)
  }
  sms.buf![0] = 42
  t.is(sms.buf![0], 42)

  const also = new SharedMemory({ name })
  t.is(also.buf![0], 42)
  also.close()
  t.is(also.buf, null)

  const same = new SharedMemory({ name, size: 20 * sms.size })
  t.true(same.size < 20 * sms.size, 'the size is ignored')
  same.close()

  t.throws(() => new SharedMemory({ create: true, size: -2 }), { instanceOf: mp.ValueError })
  t.throws(() => new SharedMemory({ create: false }), { instanceOf: mp.ValueError })

  const uno = new SharedMemory({ name: nameFor('test01_dblunlink'), create: true, size: 5000 })
  t.true(uno.size >= 5000)
  const duo = new SharedMemory({ name: uno.name })
  duo.unlink()
  duo.close()
  uno.close()
  t.throws(() => uno.unlink(), notFound)

  t.throws(() => new SharedMemory({ name, create: true, size: 512 }), {
    instanceOf: mp.FileExistsError,
    code: 'EEXIST',
  })
  t.throws(() => new SharedMemory({ name: nameFor('test01_notthere') }), notFound)
  sms.close()
})

row('_TestSharedMemory.test_shared_memory_recreate', (t) => {
  const names = [nameFor('psm_test03_fn'), nameFor('psm_test04_fn')]
  const made = names.map(() => {
    const sms = new (withNames(names))({ create: true, size: 1 })
    t.teardown(() => {
      sms.close()
      sms.unlink()
    })
    return sms.name
  })
  t.deepEqual(made, names, 'a name that is taken is not used again')
})

row('_TestSharedMemory.test_invalid_shared_memory_creation', (t) => {
  for (const size of [-1, 0, undefined]) {
    t.throws(() => new SharedMemory({ create: true, size }), { instanceOf: mp.ValueError })
  }
})

row('_TestSharedMemory.test_shared_memory_pickle_unpickle', async (t) => {
  const sms = block(t, { size: 512 })
  const text = (of: SharedMemory): string => of.buf!.toString('latin1', 0, 6)
  sms.buf!.write('pickle')
  const other = await sentAndReceived(sms)
  t.true(other instanceof SharedMemory)
  t.not(other, sms)
  t.is(other.name, sms.name)
  t.deepEqual([text(sms), text(other)], ['pickle', 'pickle'])
  sms.buf!.write('newval')
  t.deepEqual([text(sms), text(other)], ['newval', 'newval'])
  other.buf!.write('oldval')
  t.deepEqual([text(sms), text(other)], ['oldval', 'oldval'])
  other.close()
})

row('_TestSharedMemory.test_shared_memory_pickle_unpickle_dead_object', async (t) => {
  const sms = new SharedMemory({ create: true, size: 512 })
  const received = sentAndReceived(sms, () => {
    sms.close()
    sms.unlink()
  })
  await t.throwsAsync(received, notFound)
})

rowInBothForms('_TestSharedMemory.test_shared_memory_across_processes', async (t, { calls }) => {
  const sms = block(t, { size: 512 })
  for (const [given, text] of [
    [sms.name, 'howdy'],
    [sms, 'HELLO'],
  ] as const) {
    const p = new mp.Process({
      target: attachAndWrite,
      args: [given, Buffer.from(text)],
      daemon: true,
    })
    p.start()
    await calls.join(p)
    t.is(p.exitcode, 0)
    t.is(sms.buf!.toString('latin1', 0, 5), text)
  }
  sms.close()
})

row('_TestSharedMemory.test_shared_memory_cleaned_after_process_termination', async (t) => {
  const outcome = await programWith(
    t,
    `const sm = new SharedMemory({ create: true, size: 10 })
    console.log(sm.name)
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => {}, 100_000)`,
  )
  t.is(outcome.signal, 'SIGTERM')
  const name = outcome.stdout.trim()
  t.regex(name, /^psm_[0-9a-f]{8}$/)
  t.false(exists(name))
  t.regex(
    outcome.stderr,
    /resource_tracker: There appear to be 1 leaked shared_memory objects to clean up at shutdown/,
  )
})

row('_TestSharedMemory.test_shared_memory_untracking', async (t) => {
  const mem = block(t, { size: 10 })
  const outcome = await programWith(
    t,
    `new SharedMemory({ name: process.argv[2], track: false }).close()`,
    { args: [mem.name] },
  )
  t.like(outcome, { code: 0, stderr: '' })
  new SharedMemory({ name: mem.name }).close()
})

row('_TestSharedMemory.test_shared_memory_tracking', async (t) => {
  const mem = new SharedMemory({ create: true, size: 10 })
  mem.close()
  const outcome = await programWith(
    t,
    `new SharedMemory({ name: process.argv[2], track: true }).close()`,
    { args: [mem.name] },
  )
  t.is(outcome.code, 0)
  t.regex(
    outcome.stderr,
    /resource_tracker: There appear to be 1 leaked shared_memory objects to clean up at shutdown/,
  )
  await until('the block is gone', () => !exists(mem.name))
  unregister(`/${mem.name}`, 'shared_memory')
})

row(
  'TestSharedMemoryNames.test_that_shared_memory_name_with_colons_has_no_resource_tracker_errors',
  async (t) => {
    for (const name of ['a:b:c', 'a\nb', 'REGISTER:x:dummy', 'ä€😀', ' {"cmd"} ', ':', '\x7f\t']) {
      const outcome = await program(
        t,
        `import { ensureRunning } from ${JSON.stringify(import.meta.resolve('node-multiprocessing/resource-tracker'))}
        const name = JSON.parse(process.argv[2]) + process.pid
        ensureRunning()
        const shm = new mp.SharedMemory({ name, create: true, size: 100 })
        shm.buf[0] = 7
        const other = new mp.SharedMemory(name)
        console.log(other.buf[0], other.name === name)
        for (const one of [shm, other]) one.close()
        shm.unlink()`,
        { args: [JSON.stringify(name)] },
      )
      t.like(outcome, { code: 0, stdout: '7 true\n', stderr: '' }, JSON.stringify(name))
    }
  },
)

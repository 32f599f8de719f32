import { inspect } from 'node:util'
import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/synchronize.js'
import type { Form } from '../helpers/calls.js'
import { acquire, TOO_OFTEN } from '../helpers/lock-calls.js'
import { type Kind, rowOfBothKinds, startParty } from '../helpers/parties.js'
import { nothingIsLeftBehind, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

/** While somebody else holds the lock. */
const whileHeldBy = async (
  kind: Kind,
  form: Form,
  lock: mp.Lock | mp.RLock,
  look: () => void,
): Promise<void> => {
  const [holding, letGo] = [new mp.Event(), new mp.Event()]
  const party = startParty(kind, child.holdUntilTold, form, lock, holding, letGo)
  await holding.wait(30_000)
  look()
  letGo.set()
  await party.ended
}

/** How a lock looks to one who holds it so many times, as a thread of this process. */
const asSeenBy = async (form: Form, lock: mp.Lock | mp.RLock, times: number): Promise<string> => {
  const [reader, writer] = mp.Pipe({ duplex: false })
  const thread = startParty('threads', child.showsOwn, form, lock, times, writer)
  writer.close()
  const shown = await reader.recv<string>()
  reader.close()
  await thread.ended
  return shown
}

rowInBothForms('_TestLock.test_repr_lock', async (t, { calls: { form } }) => {
  const lock = new mp.Lock()
  t.is(String(lock), '<Lock(owner=None)>')
  await acquire(form, lock)
  t.is(String(lock), '<Lock(owner=MainProcess)>')
  t.is(inspect(lock), '<Lock(owner=MainProcess)>')
  lock.release()
  t.regex(await asSeenBy(form, lock, 1), /^<Lock\(owner=MainProcess\|.+\)>$/)
  await whileHeldBy('threads', form, lock, () =>
    t.is(String(lock), '<Lock(owner=SomeOtherThread)>'),
  )
  await whileHeldBy('processes', form, lock, () =>
    t.is(String(lock), '<Lock(owner=SomeOtherProcess)>'),
  )
  t.is(String(lock), '<Lock(owner=None)>')

  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.showsOwn, args: [form, lock, 1, writer], name: 'mine' })
  p.start()
  writer.close()
  t.is(await reader.recv(), '<Lock(owner=mine)>')
  reader.close()
  await p.join()
})

rowOfBothKinds('_TestLock.test_lock', async (t, { form }) => {
  const lock = new mp.Lock()
  t.true(await acquire(form, lock))
  t.true(lock.locked())
  t.false(await acquire(form, lock, { block: false }))
  t.is(lock.release(), undefined)
  t.false(lock.locked())
  t.throws(() => lock.release(), TOO_OFTEN)
})

const lockedElsewhere = async (
  t: ExecutionContext,
  form: Form,
  lock: mp.Lock | mp.RLock,
): Promise<void> => {
  t.false(lock.locked())
  await whileHeldBy('processes', form, lock, () => t.true(lock.locked()))
  t.false(lock.locked())
}

rowInBothForms('_TestLock.test_lock_locked_2processes', (t, { calls: { form } }) =>
  lockedElsewhere(t, form, new mp.Lock()),
)

rowInBothForms('_TestLock.test_rlock_locked_2processes', (t, { calls: { form } }) =>
  lockedElsewhere(t, form, new mp.RLock()),
)

rowInBothForms('_TestLock.test_repr_rlock', async (t, { calls: { form } }) => {
  const lock = new mp.RLock()
  t.is(String(lock), '<RLock(None, 0)>')
  const times = 4
  for (let i = 1; i <= times; i++) {
    await acquire(form, lock)
    t.is(String(lock), `<RLock(MainProcess, ${i})>`)
  }
  t.is(inspect(lock), `<RLock(MainProcess, ${times})>`)
  for (let i = 0; i < times; i++) lock.release()
  t.is(String(lock), '<RLock(None, 0)>')
  t.regex(await asSeenBy(form, lock, 2), /^<RLock\(MainProcess\|.+, 2\)>$/)
  await whileHeldBy('threads', form, lock, () =>
    t.is(String(lock), '<RLock(SomeOtherThread, nonzero)>'),
  )
  await whileHeldBy('processes', form, lock, () =>
    t.is(String(lock), '<RLock(SomeOtherProcess, nonzero)>'),
  )

  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.showsOwn, args: [form, lock, 3, writer], name: 'mine' })
  p.start()
  writer.close()
  t.is(await reader.recv(), '<RLock(mine, 3)>')
  reader.close()
  await p.join()
})

rowOfBothKinds('_TestLock.test_rlock', async (t, { kind, form }) => {
  const lock = new mp.RLock()
  for (let i = 0; i < 3; i++) t.true(await acquire(form, lock))
  t.true(lock.locked())
  for (let i = 0; i < 3; i++) t.is(lock.release(), undefined)
  t.false(lock.locked())
  const refused = {
    instanceOf: mp.AssertionError,
    message: 'attempt to release recursive lock not owned by thread',
  }
  t.throws(() => lock.release(), refused)
  await whileHeldBy(kind, form, lock, () => {
    t.throws(() => lock.release(), refused)
    t.false(lock.acquireSync({ block: false }))
  })
})

for (const [name, make] of [
  ['_TestLock.test_lock_context', () => new mp.Lock()],
  ['_TestLock.test_rlock_context', () => new mp.RLock()],
] as const) {
  rowOfBothKinds(name, async (t, { form }) => {
    const lock = make()
    const held = form === 'Sync' ? lock.holdSync() : await lock.hold()
    t.true(lock.locked())
    held[Symbol.dispose]()
    t.false(lock.locked())
    held.release()
    t.true(await lock.runExclusive(() => lock.locked()))
    t.false(lock.locked())
    const failure = new Error('within')
    await t.throwsAsync(
      lock.runExclusive(() => Promise.reject(failure)),
      { is: failure },
    )
    t.false(lock.locked())
  })
}

import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import type { Form } from '../helpers/calls.js'
import { acquire, TOO_OFTEN } from '../helpers/lock-calls.js'
import { rowOfBothKinds } from '../helpers/parties.js'
import { nothingIsLeftBehind, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

const counts = async (t: ExecutionContext, form: Form, sem: mp.Semaphore): Promise<void> => {
  t.is(sem.getValue(), 2)
  t.true(await acquire(form, sem))
  t.is(sem.getValue(), 1)
  t.false(sem.locked())
  t.true(await acquire(form, sem))
  t.is(sem.getValue(), 0)
  t.true(sem.locked())
  t.false(await acquire(form, sem, { block: false }))
  t.is(sem.getValue(), 0)
  t.is(sem.release(), undefined)
  t.is(sem.getValue(), 1)
  t.is(sem.release(), undefined)
  t.is(sem.getValue(), 2)
}

rowOfBothKinds('_TestSemaphore.test_semaphore', async (t, { form }) => {
  const sem = new mp.Semaphore(2)
  await counts(t, form, sem)
  sem.release()
  t.is(sem.getValue(), 3)
  sem.release()
  t.is(sem.getValue(), 4)
  t.is(String(sem), '<Semaphore(value=4)>')
})

rowOfBothKinds('_TestSemaphore.test_bounded_semaphore', async (t, { form }) => {
  const sem = new mp.BoundedSemaphore(2)
  await counts(t, form, sem)
  t.throws(() => sem.release(), TOO_OFTEN)
  t.is(sem.getValue(), 2)
  t.is(String(sem), '<BoundedSemaphore(value=2, maxvalue=2)>')
})

rowInBothForms('_TestSemaphore.test_timeout', async (t, { calls: { form } }) => {
  const sem = new mp.Semaphore(0)
  const elapsed = async (options: mp.AcquireSyncOptions): Promise<number> => {
    const start = performance.now()
    t.false(await acquire(form, sem, options))
    return performance.now() - start
  }
  for (const timeout of [undefined, null, 60_000]) {
    t.true((await elapsed({ block: false, timeout })) < 10_000)
  }
  t.true((await elapsed({ block: true, timeout: 100 })) >= 99)
  t.true((await elapsed({ timeout: 100 })) >= 99)
  t.is(sem.getValue(), 0)
})

import { inspect } from 'node:util'
import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/synchronize.js'
import { wait } from '../helpers/lock-calls.js'
import { rowOfBothKinds } from '../helpers/parties.js'
import { nothingIsLeftBehind } from '../helpers/row.js'

nothingIsLeftBehind()

rowOfBothKinds('_TestEvent.test_event', async (t, { form, start }) => {
  const event = new mp.Event()
  t.false(event.isSet())
  t.false(await wait(form, event, 0))
  const before = performance.now()
  t.false(await wait(form, event, 100))
  t.true(performance.now() - before >= 99)
  event.set()
  t.true(event.isSet())
  t.true(await wait(form, event))
  t.true(await wait(form, event, 100))
  event.clear()
  t.false(event.isSet())
  const p = start(child.setLater, event)
  t.true(await wait(form, event))
  await p.ended
})

rowOfBothKinds('_TestEvent.test_repr', (t) => {
  const event = new mp.Event()
  t.regex(String(event), /^<Event at .* unset>$/)
  event.set()
  t.regex(String(event), /^<Event at .* set>$/)
  t.is(inspect(event), String(event))
  event.clear()
  t.regex(String(event), /^<Event at .* unset>$/)
})

import { UpperCaser } from '../fixtures/conformance/upper-caser.js'
import { nothingIsLeftBehind, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

rowInBothForms('_TestSubclassingProcess.test_subclassing', async (t, { calls }) => {
  const upperCaser = new UpperCaser(calls.form)
  t.regex(upperCaser.name, /^UpperCaser-\d+$/)
  upperCaser.daemon = true
  upperCaser.start()
  t.is(await upperCaser.submit('hello'), 'HELLO')
  t.is(await upperCaser.submit('world'), 'WORLD')
  await upperCaser.stop()
  await calls.join(upperCaser)
  t.is(upperCaser.exitcode, 0)
})

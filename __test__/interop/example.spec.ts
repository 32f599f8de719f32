import test from 'ava'
import { pythons } from '../helpers/pythons.js'
import { runProgram } from '../helpers/run-program.js'

test('there is a Python to work with', (t) => {
  if (pythons.size === 0) t.log('there is none: the example is not run')
  t.pass()
})

for (const [version, python] of pythons) {
  test.serial(`Python ${version} and Node do one job`, async (t) => {
    const program = new URL('../../examples/python-interop/main.js', import.meta.url)
    const { code, stdout, stderr } = await runProgram(program, {
      env: { PYTHON: python },
    })
    t.is(stderr, '')
    t.is(stdout, 'Python 3 is here: true\n17984 primes below 200000\nboth have worked\n')
    t.is(code, 0)
  })
}

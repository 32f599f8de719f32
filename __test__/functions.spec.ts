/** Functions and classes by reference: which can be sent, what they are on the other side, and back. */
import events from 'node:events'
import fs, { writeFileSync } from 'node:fs'
import fsPromises from 'node:fs/promises'
import { createRequire } from 'node:module'
import path, { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import util from 'node:util'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as functions from './fixtures/functions.js'
import { 'a strange name' as strangelyNamed } from './fixtures/functions.js'
import * as awaiting from './fixtures/functions-awaiting.js'
import * as byDefault from './fixtures/functions-default.js'
import UnnamedClass from './fixtures/functions-default-class.js'
import valueByDefault from './fixtures/functions-default-name.js'
import * as different from './fixtures/functions-different.js'
import type { Use } from './fixtures/functions-echo.js'
import { unreachable } from './fixtures/functions-failing.js'
import * as reexported from './fixtures/functions-reexported.js'
import { program, write } from './fixtures/process-programs.js'
import { isCollected } from './helpers/garbage.js'
import { type OtherSide, withOtherSide } from './helpers/other-side.js'
import { temporaryFolder } from './helpers/temporary-folder.js'

const require = createRequire(import.meta.url)

/** Asserts that a function arrives, does there what it is for, and is the same when it comes back. */
const travels = async (
  t: ExecutionContext,
  other: OtherSide,
  fn: unknown,
  expected: unknown,
  use: Use = 'call',
  ...args: unknown[]
): Promise<void> => {
  const reply = await other.ask(fn, use, ...args)
  if ('error' in reply) {
    t.fail(`${String(fn)}: ${reply.error.name}: ${reply.error.message}`)
    return
  }
  t.deepEqual(reply.result, expected, String(fn))
  t.is(reply.fn, fn, `${String(fn)} is the same here when it comes back`)
}

/** Asserts that a function is not sent, for this reason. */
const refused = (t: ExecutionContext, fn: unknown, reason: RegExp): void => {
  const [ours, theirs] = mp.Pipe()
  try {
    const error = t.throws(
      () => ours.sendSync({ deep: [fn] }),
      { code: 'ERR_PICKLING' },
      String(fn),
    )
    t.is(error?.name, 'PicklingError')
    t.regex(error?.message ?? '', reason)
    t.regex(error?.message ?? '', /\bobj\.deep\[0\]/, 'it says where the function was found')
    t.false(theirs.pollSync(), 'nothing has been sent')
  } finally {
    ours.close()
    theirs.close()
  }
}

/** Asserts that a function arrives by value: it does the same, and is another one when it comes back. */
const travelsByValue = async (
  t: ExecutionContext,
  other: OtherSide,
  fn: unknown,
  expected: unknown,
  use: Use = 'call',
): Promise<void> => {
  const reply = await other.ask(fn, use)
  if ('error' in reply) {
    t.fail(`${String(fn)}: ${reply.error.name}: ${reply.error.message}`)
    return
  }
  t.deepEqual(reply.result, expected, String(fn))
  t.is(typeof reply.fn, 'function')
  // A class stays the class it is.
  if (use === 'call') t.not(reply.fn, fn, String(fn))
}

test.serial('exports in every form', (t) =>
  withOtherSide(async (other) => {
    await travels(t, other, functions.declared, 'declared')
    await travels(t, other, functions.arrow, 'arrow')
    await travels(t, other, functions.default, 'arrow')
    await travels(t, other, functions.asynchronous, 'asynchronous')
    await travels(t, other, functions.generator, [1, 2, 3], 'spread')
    await travels(t, other, functions.asyncGenerator, [4, 5], 'spread')
    await travels(t, other, functions.anotherName, 'renamed')
    await travels(t, other, strangelyNamed, 'renamed')
    await travels(t, other, functions.picked, 'picked')
    await travels(t, other, functions.method, 'method')
    await travels(t, other, functions.first, 'first')
  }),
)

test.serial('classes, their static methods, and members of exported objects', (t) =>
  withOtherSide(async (other) => {
    await travels(t, other, functions.Base, { kind: 'base' }, 'construct')
    await travels(t, other, functions.Derived, { kind: 'derived' }, 'construct')
    await travels(t, other, functions.Expression, { kind: 'expression' }, 'construct')
    await travels(t, other, functions.Base.make, 'made')
    await travels(t, other, functions.Derived.make, 'made')
    await travels(t, other, functions.Base.property, 'property')
    await travels(t, other, functions.table.entry, 'entry')
    await travels(t, other, functions.table['odd key'], 'odd key')
  }),
)

test.serial('default exports: with a name, without one, and a variable’s value', (t) =>
  withOtherSide(async (other) => {
    await travels(t, other, byDefault.default, 'the default')
    await travels(t, other, UnnamedClass, { field: 'of a class without a name' }, 'construct')
    await travels(t, other, byDefault.exported.default, 'a member')
  }),
)

test.serial('a default export that is the value of a variable of another name', (t) =>
  withOtherSide((other) => travels(t, other, valueByDefault, 'helper')),
)

test.serial('what another module exports again', (t) =>
  withOtherSide(async (other) => {
    await travels(t, other, reexported.passedOn, 'arrow')
    await travels(t, other, reexported.default, { kind: 'base' }, 'construct')
  }),
)

test.serial('what is not exported travels by value', (t) =>
  withOtherSide(async (other) => {
    const { unexportedOnes } = functions
    await travelsByValue(t, other, unexportedOnes.unexported(), 'unexported')
    await travelsByValue(t, other, unexportedOnes.class(), {}, 'construct')
    await travelsByValue(t, other, unexportedOnes.entry(), 'hidden entry')
    await travelsByValue(t, other, unexportedOnes.nested(), 'nested')
    await travelsByValue(t, other, unexportedOnes.anonymous(), 'anonymous')
    await travelsByValue(t, other, functions.table.nested.deep, 'deep')
    await travelsByValue(t, other, functions.table.fresh, 'fresh')
    await travelsByValue(t, other, functions.Base.prototype.member, 'member')
  }),
)

test.serial('a function that is called default is not taken for the default export', (t) =>
  withOtherSide((other) => travelsByValue(t, other, byDefault.impostor(), 'an impostor')),
)

test.serial('nor is one that is written exactly as that one is', (t) =>
  withOtherSide((other) => travelsByValue(t, other, byDefault.writtenAlike(), 'the default')),
)

test('proxies, and functions that are internal to node, are refused', (t) => {
  refused(t, new Proxy(functions.arrow, {}), /is native, and no function of the runtime/)
  refused(t, util.promisify(fs.readFile), /function readFile is internal to node/)
})

test.serial('functions and classes of the runtime', (t) =>
  withOtherSide(async (other) => {
    await travels(t, other, Math.max, 7, 'call', 3, 7, 5)
    await travels(t, other, JSON.stringify, '[1]', 'call', [1])
    await travels(t, other, Number.parseInt, 10, 'call', 'a', 16)
    await travels(t, other, path.join, 'a/b', 'call', 'a', 'b')
    await travels(t, other, fs.existsSync, true, 'call', '/')
    await travels(t, other, structuredClone, { a: 1 }, 'call', { a: 1 })
    await travels(t, other, fsPromises.readFile, undefined, 'keep')
    await travels(t, other, util.promisify, undefined, 'keep')
    await travels(t, other, setTimeout, undefined, 'keep')
    await travels(t, other, Uint8Array, { 0: 0, 1: 0 }, 'construct', 2)
    for (const Class of [Map, Promise, RangeError, URL, Buffer, events.EventEmitter]) {
      await travels(t, other, Class, undefined, 'keep')
    }
  }),
)

test('a function that was refused, or sent by value, is not held', async (t) => {
  const refusedOne = (() => {
    const promise = Promise.resolve()
    const closure = (): unknown => promise
    refused(t, closure, /captures promise: a Promise cannot be sent/)
    return new WeakRef(closure)
  })()
  const sentOne = (() => {
    const held = { value: 1 }
    const closure = (): unknown => held
    const [ours, theirs] = mp.Pipe()
    ours.sendSync(closure)
    ours.close()
    theirs.close()
    return new WeakRef(closure)
  })()
  t.true(await isCollected(refusedOne))
  t.true(await isCollected(sentOne))
})

const commonJs: Readonly<Record<string, string>> = {
  'whole.cjs': `
    module.exports = function whole() { return 'whole' }
    module.exports.part = () => 'part'
  `,
  'named.cjs': `
    exports.f = () => 'f'
    exports.K = class { constructor() { this.field = 'k' } }
    exports.make = () => () => 'made'
    function unexported() {}
    exports.unexported = () => unexported
  `,
  'literal.cjs': `
    function f() { return 'literal' }
    async function g() { return 'asynchronous' }
    module.exports = { f, other: g }
  `,
  'passed-on.cjs': `module.exports = require('./literal.cjs')`,
  'transpiled.cjs': `
    "use strict"
    Object.defineProperty(exports, '__esModule', { value: true })
    function f() { return 'transpiled' }
    class D { constructor() { this.field = 'd' } }
    Object.defineProperty(exports, 'f', { enumerable: true, get: function () { return f } })
    Object.defineProperty(exports, 'default', { enumerable: true, get: function () { return D } })
  `,
  'failing-getter.cjs': `
    Object.defineProperty(exports, 'broken', { enumerable: true, get() { throw new Error('broken') } })
    exports.f = () => 'beside a getter that throws'
  `,
}

/** Writes the CommonJS modules and loads one of them. */
const commonJsModule = (t: ExecutionContext, name: string): any => {
  const folder = temporaryFolder(t)
  for (const [file, text] of Object.entries(commonJs)) writeFileSync(join(folder, file), text)
  return require(join(folder, name))
}

for (const form of ['recv', 'recvSync'] as const) {
  test.serial(`exports of CommonJS modules, received with ${form}()`, (t) =>
    withOtherSide(async (other) => {
      const whole = commonJsModule(t, 'whole.cjs')
      await travels(t, other, whole, 'whole')
      await travels(t, other, whole.part, 'part')
      const named = commonJsModule(t, 'named.cjs')
      await travels(t, other, named.f, 'f')
      await travels(t, other, named.K, { field: 'k' }, 'construct')
      const passedOn = commonJsModule(t, 'passed-on.cjs')
      await travels(t, other, passedOn.f, 'literal')
      await travels(t, other, passedOn.other, 'asynchronous')
      const transpiled = commonJsModule(t, 'transpiled.cjs')
      await travels(t, other, transpiled.f, 'transpiled')
      await travels(t, other, transpiled.default, { field: 'd' }, 'construct')
    }, form),
  )

  test.serial(`an export beside a getter that throws, received with ${form}()`, (t) =>
    withOtherSide(async (other) => {
      const { f } = commonJsModule(t, 'failing-getter.cjs')
      await travels(t, other, f, 'beside a getter that throws')
    }, form),
  )

  test.serial(`exports of ES modules, received with ${form}()`, (t) =>
    withOtherSide(async (other) => {
      await travels(t, other, functions.declared, 'declared')
      await travels(t, other, functions.Base.make, 'made')
      await travels(t, other, byDefault.default, 'the default')
      await travels(t, other, path.join, 'a/b', 'call', 'a', 'b')
    }, form),
  )
}

test.serial('what a CommonJS module does not export travels by value', (t) =>
  withOtherSide(async (other) => {
    const named = commonJsModule(t, 'named.cjs')
    await travelsByValue(t, other, named.make(), 'made')
    await travelsByValue(t, other, named.unexported(), undefined)
  }),
)

test.serial('an ES module that exports a name for require() too', async (t) => {
  const file = join(temporaryFolder(t), 'both.mjs')
  writeFileSync(
    file,
    `const forRequire = () => 'for require'
     export { forRequire as 'module.exports' }
     export const f = () => 'f'`,
  )
  const both = await import(pathToFileURL(file).href)
  await withOtherSide(async (other) => {
    await travels(t, other, both.f, 'f')
    await travels(t, other, both['module.exports'], 'for require')
  })
})

/** Asserts that a function leaves here and does not arrive, with an error that says so. */
const doesNotArrive = async (
  t: ExecutionContext,
  fn: unknown,
  reason: RegExp,
  form: 'recv' | 'recvSync' = 'recv',
): Promise<void> =>
  withOtherSide(async (other) => {
    const reply = await other.ask(fn)
    if (!('error' in reply)) {
      t.fail(`${String(fn)} arrives`)
      return
    }
    t.is(reply.error.name, 'UnpicklingError', reply.error.message)
    t.regex(reply.error.message, reason)
    // The next message is none the worse for it.
    await travels(t, other, functions.arrow, 'arrow')
  }, form)

for (const form of ['recv', 'recvSync'] as const) {
  test.serial(`what the other side does not find is named there, with ${form}()`, async (t) => {
    const { noFunction, holder } = different
    await doesNotArrive(
      t,
      noFunction,
      /functions-different\.js exports noFunction, which is no function or class/,
      form,
    )
    const missing = /functions-different\.js has no export holder\.missing/
    await doesNotArrive(t, holder.missing, missing, form)
    await doesNotArrive(
      t,
      unreachable,
      /cannot import file:\/\/\S*functions-failing\.js: not in a child/,
      form,
    )
  })
}

test.serial('a module with a top-level await arrives with recv()', (t) =>
  withOtherSide(async (other) => {
    await travels(t, other, awaiting.awaiting, 'waited for 6')
    await travels(t, other, awaiting.default, 'the default waited for 6')
  }),
)

test.serial('with recvSync() it does not, and the error names the way out', (t) =>
  doesNotArrive(
    t,
    awaiting.awaiting,
    /functions-awaiting\.js.*top-level await: receive with the Promise form/s,
    'recvSync',
  ),
)

test.serial('what others send of a module with a top-level await is what is here', async (t) => {
  const file = join(temporaryFolder(t), 'awaiting.mjs')
  writeFileSync(
    file,
    `import byDefault from './awaiting.mjs'
     await null
     export const named = () => 'named'
     export default () => 'the default'
     export const send = async (connection) => {
       await connection.send(named)
       await connection.send(byDefault)
     }`,
  )
  const awaiting = await import(pathToFileURL(file).href)
  const [ours, theirs] = mp.Pipe()
  const sender = new mp.Process({ target: awaiting.send, args: [theirs], daemon: true })
  sender.start()
  theirs.close()
  try {
    t.is(await ours.recv(), awaiting.named)
    t.is(await ours.recv(), awaiting.default)
  } finally {
    ours.close()
    await sender.join()
  }
})

test('a function is the same reference each time, and one object however often it is in a message', async (t) => {
  const [ours, theirs] = mp.Pipe()
  const bytes = (value: unknown): Buffer => {
    ours.sendSync(value)
    return theirs.recvBytesSync()
  }
  t.deepEqual(bytes(functions.declared), bytes(functions.declared))
  t.notDeepEqual(bytes(functions.declared), bytes(functions.arrow))
  // Its exports' names are several, the function is one.
  t.deepEqual(bytes(functions.anotherName), bytes(strangelyNamed))
  t.deepEqual(bytes(functions.Derived.make), bytes(functions.Base.make))
  const twice = bytes([functions.declared, functions.declared, functions.declared]).toString(
    'latin1',
  )
  t.is(twice.split('functions.js').length, 2, 'the module is named once in a message')
  ours.close()
  theirs.close()
  await withOtherSide(async (other) => {
    const reply = await other.ask(functions.declared, 'call')
    const again = await other.ask(functions.declared, 'call')
    t.true('fn' in reply && 'fn' in again && reply.fn === again.fn)
  })
})

const lines = (stdout: string): string[] => stdout.split('\n').filter(Boolean)

const ownClasses = `
export class Mistake extends RangeError {
  constructor(message, details) { super(message); this.name = 'Mistake'; this.details = details }
}
export class Point { constructor(x) { this.x = x } get doubled() { return 2 * this.x } }
export const fail = (x) => { throw new Mistake('wrong: ' + x, { x }) }
export const point = (x) => new Point(x)
export const sendPoint = async (connection) => { await connection.send(new Point(4)) }
export const sendClass = async (connection) => { await connection.send([Point, point]) }
`

test('instances and classes of a main module that is still being evaluated come back as its own', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${ownClasses}
if (mp.isMainProcess) {
  const pool = new mp.Pool(1)
  const [first] = await pool.map(point, [3])
  const [second] = pool.mapSync(point, [5])
  console.log(first instanceof Point, first.doubled, second instanceof Point, second.doubled)
  for (const form of ['recv', 'recvSync']) {
    for (const target of [sendPoint, sendClass]) {
      const [ours, theirs] = mp.Pipe()
      const child = new mp.Process({ target, args: [theirs] })
      child.start()
      theirs.close()
      const arrived = await ours[form]()
      console.log(Array.isArray(arrived) ? arrived[0] === Point && arrived[1] === point : arrived instanceof Point && arrived.doubled)
      await child.join()
    }
  }
  pool.terminate()
  await pool.join()
}
`,
  )
  t.deepEqual(lines(stdout), ['true 6 true 10', '8', 'true', '8', 'true'], stderr)
})

test('a result of a class whose module is not loaded here is rebuilt, in both forms', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { makers } from './makers.mjs'
if (mp.isMainProcess) {
  const pool = new mp.Pool(1)
  const [made] = pool.mapSync(makers.first, [1])
  console.log(made.constructor.name, made.field)
  const [another] = await pool.map(makers.second, [2])
  console.log(another.constructor.name, another.field)
  pool.terminate()
  await pool.join()
}
`,
    {
      files: {
        'makers.mjs': `
          export const makers = {
            first: async (x) => new (await import('./first.mjs')).First(x),
            second: async (x) => new (await import('./second.mjs')).Second(x),
          }`,
        'first.mjs': 'export class First { constructor(x) { this.field = x } }',
        'second.mjs': 'export class Second { constructor(x) { this.field = x } }',
      },
    },
  )
  t.deepEqual(lines(stdout), ['First 1', 'Second 2'], stderr)
})

test('an error of the main module’s own class arrives as that', async (t) => {
  const source = `
if (mp.isMainProcess) {
  const pool = new mp.Pool(1)
  const tell = (form, error) => console.log(
    form, error instanceof Mistake, error.constructor === Mistake, error instanceof RangeError,
    error.name, error.message, JSON.stringify(error.details),
  )
  const main = async () => {
    await pool.map(fail, [1]).catch((error) => tell('map', error))
    try { pool.mapSync(fail, [2]) } catch (error) { tell('mapSync', error) }
    await pool.apply(fail, [3]).catch((error) => tell('apply', error))
    pool.close()
    await pool.join()
  }
  MAIN
}
`
  const expected = [
    'map true true true Mistake wrong: 1 {"x":1}',
    'mapSync true true true Mistake wrong: 2 {"x":2}',
    'apply true true true Mistake wrong: 3 {"x":3}',
  ]
  for (const [main, begin, classes] of [
    ['main.mjs', 'await main()', ownClasses],
    ['later.mjs', 'void main()', ownClasses],
    [
      'main.cjs',
      'void main()',
      `${ownClasses.replaceAll('export ', '')}\nmodule.exports = { Mistake, Point, fail, point }`,
    ],
  ] as const) {
    const text = `${classes}${source.replace('MAIN', begin)}`
    const { stdout, stderr } = await write(t, text, { main }).run()
    t.deepEqual(lines(stdout), expected, `${main}: ${stderr}`)
  }
})

test('a class of a waiting main module that only others know is an error, and no hang', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { sendPoint } from './other.mjs'
export class Point {}
if (mp.isMainProcess) {
  for (const form of ['recv', 'recvSync']) {
    const [ours, theirs] = mp.Pipe()
    const child = new mp.Process({ target: sendPoint, args: [theirs] })
    child.start()
    theirs.close()
    try {
      console.log(String(await ours[form]()))
    } catch (error) {
      console.log(form, error.name, /main\\.mjs.*top-level await/s.test(error.message))
    }
    await child.join()
  }
}
`,
    {
      files: {
        'other.mjs': `
          import { Point } from './main.mjs'
          export const sendPoint = async (connection) => { await connection.send(new Point()) }`,
      },
    },
  )
  t.deepEqual(lines(stdout), ['recv UnpicklingError true', 'recvSync UnpicklingError true'], stderr)
})

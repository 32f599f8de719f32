/** Functions that are no exports: they travel by value, with what they capture. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as os from 'node:os'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { declared } from './fixtures/functions.js'
import type { Use } from './fixtures/functions-echo.js'
import { isCollected } from './helpers/garbage.js'
import { type OtherSide, withOtherSide } from './helpers/other-side.js'

/** Asserts that a function arrives and does there what it does here. */
const arrives = async (
  t: ExecutionContext,
  other: OtherSide,
  fn: unknown,
  expected: unknown,
  use: Use = 'call',
  ...args: unknown[]
): Promise<void> => {
  const reply = await other.ask(fn, use, ...args)
  if ('error' in reply) t.fail(`${String(fn)}: ${reply.error.name}: ${reply.error.message}`)
  else t.deepEqual(reply.result, expected, String(fn))
}

const here = process.pid

for (const form of ['recv', 'recvSync'] as const) {
  test.serial(`every form of function, received with ${form}()`, (t) =>
    withOtherSide(async (other) => {
      const factor = 3
      await arrives(t, other, (x: number) => x * factor, 6, 'call', 2)
      await arrives(t, other, (x: number): number => x * factor, 9, 'call', 3)
      await arrives(t, other, async (x: number) => x * factor, 12, 'call', 4)
      function local(x: number, y = factor): number {
        return x + y
      }
      await arrives(t, other, local, 5, 'call', 2)
      await arrives(t, other, () => factor, 3)
      function* generator(): Generator<number> {
        yield 1
        yield factor
      }
      await arrives(t, other, generator, [1, 3], 'spread')
      async function* asyncGenerator(): AsyncGenerator<number> {
        yield factor
      }
      await arrives(t, other, asyncGenerator, [3], 'spread')
      const key = 'computed'
      const object = {
        double: (x: number) => x * 2,
        triple(x: number): number {
          return x * factor
        },
        async later(): Promise<number> {
          return factor
        },
        *some(): Generator<number> {
          yield factor
        },
        [`${key} name`](): number {
          return factor
        },
        get got(): number {
          return factor
        },
        set given(_: number) {},
        'odd key'(): string {
          return 'odd'
        },
        async *[key](): AsyncGenerator<number> {
          yield 7
        },
      }
      await arrives(t, other, object.double, 4, 'call', 2)
      await arrives(t, other, object.triple, 6, 'call', 2)
      await arrives(t, other, object.later, 3)
      await arrives(t, other, object.some, [3], 'spread')
      await arrives(t, other, object['computed name'], 3)
      await arrives(t, other, object['odd key'], 'odd')
      await arrives(t, other, object.computed, [7], 'spread')
      const { get } = Object.getOwnPropertyDescriptor(object, 'got') ?? {}
      await arrives(t, other, get, 3)
      const { set } = Object.getOwnPropertyDescriptor(object, 'given') ?? {}
      await arrives(t, other, set, undefined, 'call', 1)
      await arrives(t, other, new Function('a', 'b', 'return a + b'), 5, 'call', 2, 3)
      // biome-ignore lint/security/noGlobalEval: functions that it makes are what is tested.
      await arrives(t, other, globalThis.eval('(() => 1)'), 1)
      await arrives(t, other, () => process.pid === here, false)
    }, form),
  )
}

test.serial('names, and what a method’s key was', (t) =>
  withOtherSide(async (other) => {
    const nameOf = (fn: { name: string }): string => fn.name
    const symbol = Symbol.for('a symbol')
    const object = { [symbol]: (): number => 1, async [`a ${'key'}`](): Promise<void> {} }
    await arrives(t, other, nameOf, '[a symbol]', 'call', object[symbol])
    await arrives(t, other, nameOf, 'a key', 'call', object['a key'])
    await arrives(t, other, nameOf, 'nameOf', 'call', nameOf)
    await arrives(
      t,
      other,
      nameOf,
      '',
      'call',
      (
        () => () =>
          1
      )(),
    )
  }),
)

test.serial('recursive and mutually recursive functions', (t) =>
  withOtherSide(async (other) => {
    const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1))
    await arrives(t, other, factorial, 120, 'call', 5)
    function fibonacci(n: number): number {
      return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2)
    }
    await arrives(t, other, fibonacci, 55, 'call', 10)
    const isEven = (n: number): boolean => (n === 0 ? true : isOdd(n - 1))
    const isOdd = (n: number): boolean => (n === 0 ? false : isEven(n - 1))
    await arrives(t, other, isEven, true, 'call', 10)
    await arrives(t, other, isOdd, false, 'call', 10)
    let changing = function itself(n: number): number {
      return n === 0 ? 0 : 1 + changing(n - 1)
    }
    await arrives(t, other, changing, 3, 'call', 3)
    const first = changing
    changing = () => 10
    await arrives(t, other, first, 11, 'call', 3)
  }),
)

test.serial('a declared function whose name means something else by now', (t) =>
  withOtherSide(async (other) => {
    // biome-ignore lint/suspicious/noFunctionAssign: that is what is tested.
    function replaced(n: number): number {
      return n === 0 ? 0 : replaced(n - 1)
    }
    const original = replaced
    // @ts-expect-error What JavaScript allows.
    replaced = () => 42
    t.is(original(1), 42)
    await arrives(t, other, original, 42, 'call', 1)
  }),
)

test.serial('variables have the values they have when the function is sent', (t) =>
  withOtherSide(async (other) => {
    let count = 1
    const current = (): number => count
    await arrives(t, other, current, 1)
    count = 2
    await arrives(t, other, current, 2)
    const list = [1]
    const whole = (): number[] => list
    await arrives(t, other, whole, [1])
    list.push(2)
    await arrives(t, other, whole, [1, 2])
    const counters = [0, 1, 2].map((start) => () => ++start)
    for (const [i, counter] of counters.entries()) await arrives(t, other, counter, i + 1)
  }),
)

test.serial('functions and values in what is captured, to any depth', (t) =>
  withOtherSide(async (other) => {
    const base = new Map([['a', { value: 40 }]])
    const helpers = { add: (x: number) => x + (base.get('a')?.value ?? 0), declared }
    const outer = (x: number): string => `${helpers.declared()} ${helpers.add(x)}`
    const outermost = (x: number): string => outer(x)
    await arrives(t, other, outermost, 'declared 42', 'call', 2)
    const make = (a: number) => (b: number) => (c: number) => a + b + c
    await arrives(t, other, make(1)(2), 6, 'call', 3)
    const maker = (a: number) => () => () => a
    await arrives(t, other, (x: number) => maker(x)()(), 5, 'call', 5)
  }),
)

test.serial('imports are imported there', (t) =>
  withOtherSide(async (other) => {
    const path = new URL(import.meta.url).pathname
    await arrives(t, other, () => readFileSync(path, 'utf8').length > 0, true)
    await arrives(t, other, () => os.EOL === '\n' && typeof os.cpus === 'function', true)
    await arrives(t, other, () => mp.isMainProcess, false)
    await arrives(t, other, () => declared(), 'declared')
  }),
)

test.serial('globals are those of the other side', (t) =>
  withOtherSide(async (other) => {
    await arrives(t, other, () => typeof setTimeout === 'function' && Math.max(1, 2), 2)
    await arrives(t, other, () => typeof (globalThis as { nothing?: 1 }).nothing, 'undefined')
  }),
)

test.serial('what every process has of its own is not copied', (t) =>
  withOtherSide(async (other) => {
    const [M, J, world, self] = [Math, JSON, globalThis, process]
    await arrives(t, other, () => M.max(1, 2) + J.stringify([world.parseInt('3')]), '2[3]')
    await arrives(t, other, () => self.pid === here, false)
    const { hasOwnProperty } = Object.prototype
    await arrives(t, other, () => hasOwnProperty.call({ a: 1 }, 'a'), true)
    const own = createRequire(import.meta.url)
    await arrives(
      t,
      other,
      () => (own('./fixtures/functions.js') as { arrow(): string }).arrow(),
      'arrow',
    )
  }),
)

test.serial('import.meta and import() are those of the module it was written in', (t) =>
  withOtherSide(async (other) => {
    await arrives(t, other, () => import.meta.url, import.meta.url)
    await arrives(
      t,
      other,
      () => [import.meta.filename, import.meta.dirname, import.meta.resolve('./fixtures/a.js')],
      [import.meta.filename, import.meta.dirname, import.meta.resolve('./fixtures/a.js')],
    )
    await arrives(t, other, async () => (await import('./fixtures/functions.js')).arrow(), 'arrow')
    await arrives(t, other, async () => typeof (await import('fast-check')).assert, 'function')
    // What it makes is sent on from there.
    const making = (): (() => unknown) => () => [import.meta.url, typeof import('node:fs')]
    const reply = await other.ask(making)
    t.true('result' in reply)
    const made = 'result' in reply ? (reply.result as () => unknown) : undefined
    t.deepEqual(made?.(), [import.meta.url, 'object'])
  }),
)

test.serial('bound functions', (t) =>
  withOtherSide(async (other) => {
    const add = (a: number, b: number, c: number): number => a + b + c
    await arrives(t, other, add.bind(null, 1, 2), 6, 'call', 3)
    function scale(this: { factor: number }, x: number): number {
      return this.factor * x
    }
    await arrives(t, other, scale.bind({ factor: 4 }), 12, 'call', 3)
    await arrives(t, other, scale.bind({ factor: 4 }, 2).bind(null), 8)
    await arrives(t, other, Math.max.bind(null, 5), 7, 'call', 7)
    await arrives(t, other, declared.bind(null), 'declared')
    class Button {
      readonly label = 'go'
      readonly press: () => string
      constructor() {
        this.press = function (this: Button): string {
          return `${this.label} ${this.press === undefined}`
        }.bind(this)
      }
    }
    const button = new Button()
    await arrives(t, other, button.press, 'go false')
    await arrives(t, other, (it: Button) => it.press(), 'go false', 'call', button)
    const nameOf = (fn: { name: string }): string => fn.name
    await arrives(t, other, nameOf, 'bound add', 'call', add.bind(null))
    const reply = await other.ask(button.press)
    t.is('fn' in reply ? (reply.fn as () => string)() : undefined, 'go false')
  }),
)

test.serial('own properties of functions', (t) =>
  withOtherSide(async (other) => {
    const counted = Object.assign(() => counted.calls, { calls: 5, more: { deep: [1] } })
    await arrives(t, other, counted, 5)
    await arrives(
      t,
      other,
      (fn: object) => ({ ...fn }),
      { calls: 5, more: { deep: [1] } },
      'call',
      counted,
    )
    counted.calls = 6
    await arrives(t, other, counted, 6)
  }),
)

test.serial('what is captured and elsewhere in the message is one object', (t) =>
  withOtherSide(async (other) => {
    const shared = { count: 0 }
    const isShared = (it: object): boolean => it === shared
    await arrives(t, other, isShared, true, 'call', shared)
    const increment = (): number => ++shared.count
    const both = (change: () => number, it: { count: number }): unknown => [change(), it.count]
    await arrives(t, other, both, [1, 1], 'call', increment, shared)
    t.is(shared.count, 0)
    const same = (a: unknown, b: unknown): boolean => a === b
    await arrives(t, other, same, true, 'call', increment, increment)
  }),
)

test.serial('a variable that two functions share is a variable of each there', (t) =>
  withOtherSide(async (other) => {
    let count = 0
    const change = (): number => ++count
    const look = (): number => count
    const both = (a: () => number, b: () => number): unknown => [a(), a(), b()]
    await arrives(t, other, both, [1, 2, 0], 'call', change, look)
  }),
)

test.serial('a function comes back by value too, and goes on from there', (t) =>
  withOtherSide(async (other) => {
    let count = 10
    const next = (): number => ++count
    const reply = await other.ask(next)
    t.true('fn' in reply)
    if (!('fn' in reply)) return
    t.is(reply.result, 11)
    const returned = reply.fn as () => number
    t.not(returned, next)
    t.is(returned(), 12, 'it was sent back after it was called there')
    t.is(next(), 11)
    t.is(String(returned), String(next))
    await arrives(t, other, returned, 13)
  }),
)

test('what a variable held when a function was sent is not kept for it', async (t) => {
  let held: object | null = { large: true }
  const look = (): unknown => held
  const [ours, theirs] = mp.Pipe()
  ours.sendSync(look)
  const reference = new WeakRef(held)
  held = null
  t.true(await isCollected(reference))
  t.is(look(), null)
  ours.close()
  theirs.close()
})

test.serial('processes and pools run functions that are no exports', async (t) => {
  const [ours, theirs] = mp.Pipe()
  const greeting = 'hello'
  const p = new mp.Process({
    target: (connection: typeof theirs, name: string) => {
      connection.sendSync(`${greeting} ${name} ${process.pid !== here}`)
    },
    args: [theirs, 'there'],
  })
  p.start()
  theirs.close()
  t.is(await ours.recv(), 'hello there true')
  await p.join()
  t.is(p.exitcode, 0)
  ours.close()
  const pool = new mp.Pool(2)
  try {
    const power = 3
    t.deepEqual(await pool.map((x: number) => x ** power, [1, 2, 3]), [1, 8, 27])
    t.deepEqual(
      pool.mapSync((x: number) => x - power, [4, 5]),
      [1, 2],
    )
  } finally {
    pool.terminate()
    await pool.join()
  }
})

test.serial('errors of such a function say where it was written', async (t) => {
  await withOtherSide(async (other) => {
    const fail = (): never => {
      throw new Error('here')
    }
    const where = (run: () => never): string | undefined => {
      try {
        return run()
      } catch (error) {
        return (error as Error).stack?.split('\n')[1]?.replace(/^.*functions-by-value/, '')
      }
    }
    await arrives(t, other, where, where(fail), 'call', fail)
    // biome-ignore format: positions in the first line are what is tested.
    const alsoFails = (): never => { throw new Error('in one line') }
    await arrives(t, other, where, where(alsoFails), 'call', alsoFails)
  })
})

test.serial('functions nested as deep as allowed', (t) =>
  withOtherSide(async (other) => {
    const wrap = (inner: () => number) => (): number => inner() + 1
    let deep = (): number => 0
    for (let i = 0; i < 300; i++) deep = wrap(deep)
    await arrives(t, other, deep, 300)
    for (let i = 0; i < 800; i++) deep = wrap(deep)
    t.throws(() => mp.Pipe()[0].sendSync(deep), { message: /nested deeper than 1000 levels/ })
  }),
)

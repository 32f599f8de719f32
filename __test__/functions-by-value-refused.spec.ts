/** Functions that cannot travel: each refusal names the function, the variable and the way to it. */
import { createServer } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'

/** Asserts that an object is not sent, for this reason. */
const refused = (t: ExecutionContext, value: unknown, message: string | RegExp): void => {
  const [ours, theirs] = mp.Pipe()
  try {
    const error = t.throws(() => ours.sendSync(value), { code: 'ERR_PICKLING' }, String(value))
    if (typeof message === 'string') t.is(error?.message, message)
    else t.regex(error?.message ?? '', message)
    t.false(theirs.pollSync(), 'nothing has been sent')
  } finally {
    ours.close()
    theirs.close()
  }
}

const promise =
  'a Promise cannot be sent: its state belongs to the process it is in; await it first'

test('what captures something that cannot travel, with the way to it', (t) => {
  const done = Promise.resolve()
  const work = (): unknown => done
  refused(t, work, `cannot send obj: function work captures done: ${promise}`)
  const job = { steps: [{ name: 'read', done }] }
  const nested = (): unknown => job
  refused(
    t,
    { list: [nested] },
    `cannot send obj.list[0]: function nested captures job.steps[0].done: ${promise}`,
  )
  const tools = { helper: () => work() }
  const deep = (): unknown => tools.helper()
  refused(
    t,
    deep,
    `cannot send obj: function deep captures tools.helper, which captures work, which captures done: ${promise}`,
  )
  class Holder {
    hold(): unknown {
      return done
    }
  }
  refused(t, Holder, `cannot send obj: class Holder captures done: ${promise}`)
  refused(
    t,
    { it: new Holder() },
    `cannot send obj.it.constructor: class Holder captures done: ${promise}`,
  )
  const unique = Symbol('unique')
  const marked = (): symbol => unique
  refused(
    t,
    marked,
    /^cannot send obj: function marked captures unique: Symbol\(unique\) is unique/,
  )
  const bound = ((x: unknown): unknown => x).bind(null, [done])
  refused(t, bound, `cannot send obj: function bound  captures its argument 0[0]: ${promise}`)
  const own = Object.assign(() => 1, { field: done })
  refused(t, own, /captures field: a Promise cannot be sent/)
})

test('at the start of a process, and in calls of a pool', async (t) => {
  const server = createServer()
  const held = new WeakMap([[server, 1]])
  const target = (): unknown => held
  const p = new mp.Process({ target })
  t.throws(() => p.start(), {
    message: /^cannot send target: function target captures held: a WeakMap cannot be sent/,
  })
  t.is(p.pid, null)
  const pool = new mp.Pool(1)
  try {
    await t.throwsAsync(async () => pool.map(target, [1]), {
      message: /function target captures held: a WeakMap cannot be sent/,
    })
    t.deepEqual(await pool.map((x: number) => x + 1, [1]), [2])
  } finally {
    pool.terminate()
    await pool.join()
  }
})

test('a reason without advice gets some', (t) => {
  const pool = new (class Foreign extends WeakRef<object> {})({})
  const uses = (): unknown => pool
  refused(
    t,
    uses,
    'cannot send obj: function uses captures pool: a WeakRef cannot be sent: its state belongs to the process it is in; pass what it needs as an argument',
  )
})

test('what belongs to the code around a function', (t) => {
  class Parent {
    parent(): string {
      return 'parent'
    }
  }
  class Outer extends Parent {
    readonly value = 1
    arrow = (): number => this.value
    static #count = 1
    static count(): number {
      return Outer.#count
    }
    override parent(): string {
      return super.parent()
    }
  }
  refused(
    t,
    new Outer().arrow,
    'cannot send obj: function arrow uses the `this` of the code around it; pass what it needs as an argument',
  )
  refused(
    t,
    Outer.count,
    'cannot send obj: function count uses #count, which is private to the class around it',
  )
  refused(
    t,
    Outer.prototype.parent,
    'cannot send obj: function parent uses `super`, which belongs to the object it is a method of',
  )
  function withArguments(..._: unknown[]): () => unknown {
    // biome-ignore lint/complexity/noArguments: that is what is tested.
    return () => arguments.length
  }
  refused(t, withArguments(1), /uses the `arguments` of the function around it/)
  function Made(this: { look: () => unknown }): void {
    this.look = () => new.target
  }
  const made = new (Made as unknown as new () => { look: () => unknown })()
  refused(t, made.look, /uses the `new\.target` of the function around it/)
  const local = 5
  // biome-ignore lint/security/noGlobalEval: that is what is tested.
  refused(t, () => eval('local') === local, /uses eval or with, so what it captures cannot be told/)
})

test('what is around it in a nested function stands in the message, too', (t) => {
  class Outer {
    readonly value = 1
    arrow = (): number => this.value
  }
  const { arrow } = new Outer()
  const uses = (): number => arrow()
  refused(
    t,
    uses,
    'cannot send obj: function uses captures arrow: function arrow uses the `this` of the code around it; pass what it needs as an argument',
  )
})

const showsUninitialized = Number(process.versions.node.split('.')[0]) >= 22

;(showsUninitialized ? test : test.skip)('variables that are not initialized yet', (t) => {
  const early = (): number => late
  refused(t, early, 'cannot send obj: function early captures late, which is not initialized yet')
  const late = 5
  const [ours, theirs] = mp.Pipe()
  ours.sendSync(early)
  t.is((theirs.recvSync() as () => number)(), late)
  ours.close()
  theirs.close()
})

test('a variable that only the computed key of a class used', (t) => {
  const make = (key: string): (new () => object) =>
    class Keyed {
      [key](): number {
        return 1
      }
    }
  refused(t, make('k'), 'cannot send obj: class Keyed captures key, which can no longer be seen')
})

test('strangers can neither send nor be sent functions by value', (t) => {
  const [ours, theirs] = mp.Pipe()
  const fd = mp.Pipe(false)
  for (const connection of fd) connection.close()
  const untrusted = new mp.Connection(new mp.DupFd(theirs.fileno()).detach(), { trusted: false })
  ours.sendSync(() => 1)
  t.throws(() => untrusted.recvSync(), { instanceOf: mp.UnpicklingError, message: /trusted/ })
  for (const connection of [ours, theirs, untrusted]) connection.close()
})

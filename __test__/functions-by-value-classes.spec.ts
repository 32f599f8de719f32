/** Classes that are no exports, and instances of them. */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { Base } from './fixtures/functions.js'
import type { Use } from './fixtures/functions-echo.js'
import { type OtherSide, withOtherSide } from './helpers/other-side.js'

/** Asserts what comes of a function or class there. */
const gives = async (
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

/** What a function made there, here again. */
const result = async (other: OtherSide, fn: unknown, ...args: unknown[]): Promise<unknown> => {
  const reply = await other.ask(fn, 'call', ...args)
  if ('error' in reply) throw new Error(reply.error.message)
  return reply.result
}

const unit = 'cm'

class Point {
  static readonly origin = 'here'
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}

  length(): string {
    return `${Math.hypot(this.x, this.y)} ${unit}`
  }

  get doubled(): Point {
    return new Point(this.x * 2, this.y * 2)
  }

  static make(): Point {
    return new Point(0, 1)
  }
}

test.serial('instances keep their class, there and back', (t) =>
  withOtherSide(async (other) => {
    await gives(t, other, (p: Point) => p.length(), '5 cm', 'call', new Point(3, 4))
    await gives(t, other, (p: unknown) => p instanceof Point, true, 'call', new Point(3, 4))
    await gives(t, other, Point, { x: 1, y: 2 }, 'construct', 1, 2)
    const doubled = await result(other, (p: Point) => p.doubled, new Point(3, 4))
    t.true(doubled instanceof Point)
    t.is((doubled as Point).length(), '10 cm')
    t.is(await result(other, (type: unknown) => type, Point), Point)
    t.is(await result(other, () => Point), Point)
    // It is the same class in later messages.
    const keep = (it: unknown): boolean => {
      const kept = globalThis as { kept?: unknown }
      const known = kept.kept as Function | undefined
      kept.kept = (it as object).constructor
      return known === undefined || (known === kept.kept && it instanceof (known as typeof Point))
    }
    await gives(t, other, keep, true, 'call', new Point(1, 1))
    await gives(t, other, keep, true, 'call', new Point(1, 2))
  }),
)

test.serial('a class made there is the same here, however often it is sent', (t) =>
  withOtherSide(async (other) => {
    const make = (): unknown => {
      const kept = globalThis as { Made?: new () => object }
      kept.Made ??= class Made {
        readonly field = 1
      }
      return new kept.Made()
    }
    const first = (await result(other, make)) as object
    const second = (await result(other, make)) as object
    t.is(first.constructor.name, 'Made')
    t.is(first.constructor, second.constructor)
    t.true(
      await result(
        other,
        (it: object) => it.constructor === (globalThis as { Made?: unknown }).Made,
        first,
      ),
    )
  }),
)

test.serial('class expressions, and classes that extend others', (t) =>
  withOtherSide(async (other) => {
    const Unnamed = class {
      readonly field = unit
    }
    await gives(t, other, Unnamed, { field: 'cm' }, 'construct')
    class Named extends Unnamed {
      readonly more = 1
      override toString(): string {
        return `${super.toString().length > 0}`
      }
    }
    await gives(t, other, Named, { field: 'cm', more: 1 }, 'construct')
    class OfExported extends Base {
      override member(): string {
        return `${super.member()} and more`
      }
    }
    await gives(t, other, OfExported, { kind: 'base' }, 'construct')
    await gives(
      t,
      other,
      (it: Base) => `${it.member()} ${it instanceof Base}`,
      'member and more true',
      'call',
      new OfExported(),
    )
    const mixin = (Parent: new () => object, label: string): (new () => object) =>
      class extends Parent {
        readonly label = label
      }
    const Mixed = mixin(Unnamed, 'mixed')
    await gives(t, other, Mixed, { field: 'cm', label: 'mixed' }, 'construct')
    class OfMixin extends mixin(Named, `{ ${unit} }`) {
      readonly last = true
    }
    await gives(
      t,
      other,
      OfMixin,
      { field: 'cm', more: 1, label: '{ cm }', last: true },
      'construct',
    )
    class Stack extends Array<number> {
      top(): number | undefined {
        return this.at(-1)
      }
    }
    await gives(t, other, (it: Stack) => it.top(), 3, 'call', Stack.from([1, 2, 3]))
    class Registry extends Map<string, number> {
      sum(): number {
        return [...this.values()].reduce((a, b) => a + b, 0)
      }
    }
    await gives(
      t,
      other,
      (it: Registry) => it.sum(),
      3,
      'call',
      new Registry([
        ['a', 1],
        ['b', 2],
      ]),
    )
  }),
)

test.serial('static members are evaluated anew, with what they need', (t) =>
  withOtherSide(async (other) => {
    const start = 5
    const twice = (n: number): number => n * 2
    class Counter {
      static readonly count = twice(start)
      static readonly table: Record<string, number> = {}
      static {
        Counter.table.start = start
      }
      static readonly made: Counter = new Counter()
      readonly of = Counter.count
      static [Symbol.hasInstance](): boolean {
        return true
      }
      *[Symbol.iterator](): Generator<number> {
        yield start
      }
    }
    await gives(t, other, Counter, { of: 10 }, 'construct')
    await gives(t, other, () => [Counter.count, Counter.table, Counter.made.of], [
      10,
      { start: 5 },
      10,
    ])
    await gives(t, other, (it: Counter) => [...it], [5], 'call', new Counter())
  }),
)

test.serial('classes that need one another', (t) =>
  withOtherSide(async (other) => {
    class Shape {
      static parse(text: string): Shape {
        return registry.get(text) ?? new Square(text)
      }
      readonly kind: string = 'shape'
    }
    class Square extends Shape {
      static readonly unit = new Shape()
      override readonly kind = 'square'
      constructor(readonly text: string) {
        super()
      }
    }
    const registry = new Map<string, Shape>()
    registry.set('one', new Square('one'))
    await gives(t, other, Square, { kind: 'square', text: 'a' }, 'construct', 'a')
    await gives(
      t,
      other,
      () => {
        const [known, made] = [Shape.parse('one'), Shape.parse('two')]
        return [
          known instanceof Square,
          made instanceof Square,
          made instanceof Shape,
          Square.unit.kind,
        ]
      },
      [true, true, true, 'shape'],
    )
    await gives(
      t,
      other,
      (it: Shape[]) => it.map((each) => each instanceof Shape),
      [true, true],
      'call',
      [new Square('b'), new Shape()],
    )
  }),
)

test.serial('a class that cannot be defined without itself is refused', (t) => {
  const holder: { type?: unknown } = {}
  class Knot {
    static readonly held = holder
    readonly field = 1
  }
  holder.type = Knot
  const [ours, theirs] = mp.Pipe()
  const error = t.throws(() => ours.sendSync(Knot), { instanceOf: mp.PicklingError })
  t.is(error?.message, 'cannot send obj: class Knot is needed to define itself')
  ours.close()
  theirs.close()
})

test.serial('functions that make objects, as before there were classes', (t) =>
  withOtherSide(async (other) => {
    interface Animal {
      name: string
      speak(): string
    }
    const Animal = function (this: Animal, name: string): void {
      this.name = name
    } as unknown as { new (name: string): Animal; prototype: Animal }
    Animal.prototype.speak = function (): string {
      return `I am ${this.name}`
    }
    const Dog = function (this: Animal, name: string): void {
      ;(Animal as unknown as Function).call(this, name)
    } as unknown as {
      new (name: string): Animal & { bark(): string }
      prototype: Animal & { bark(): string }
    }
    Dog.prototype = Object.create(Animal.prototype)
    Dog.prototype.constructor = Dog as unknown as Animal & Function
    Dog.prototype.bark = () => 'woof'
    await gives(t, other, (it: Animal) => it.speak(), 'I am Rex', 'call', new Animal('Rex'))
    const dog = await result(
      other,
      (it: InstanceType<typeof Dog>) => [it, it.speak(), it.bark(), it instanceof Animal],
      new Dog('Fido'),
    )
    t.deepEqual((dog as unknown[]).slice(1), ['I am Fido', 'woof', true])
    t.true((dog as unknown[])[0] instanceof Dog)
  }),
)

test.serial('errors of a class that is no export arrive as that', (t) =>
  withOtherSide(async (other) => {
    class Mistake extends RangeError {
      readonly detail: number
      constructor(message: string, detail: number) {
        super(message)
        this.name = 'Mistake'
        this.detail = detail
      }
    }
    const [error, isMistake] = (await result(
      other,
      (it: Error) => [it, it instanceof Mistake && it instanceof RangeError],
      new Mistake('wrong', 5),
    )) as [Mistake, boolean]
    t.true(isMistake)
    t.true(error instanceof Mistake)
    t.is(error.detail, 5)
  }),
)

test.serial('an error whose class cannot travel arrives as the nearest that can', (t) =>
  withOtherSide(async (other) => {
    const socket = new WeakMap()
    class Broken extends TypeError {
      readonly more = [1, { deep: true }]
      lookup(): unknown {
        return socket.get(this)
      }
    }
    const shared = { a: 1 }
    const message = (await result(
      other,
      (it: { error: Error; before: object; after: object }) => [
        it.error instanceof TypeError,
        it.error.name,
        (it.error as Broken).more,
        it.before === it.after,
      ],
      { before: shared, error: new Broken('broken'), after: shared },
    )) as unknown[]
    t.deepEqual(message, [true, 'Broken', [1, { deep: true }], true])
  }),
)

test.serial(
  'instances with private fields are refused, unless they say how they travel',
  async (t) => {
    class Account {
      readonly #balance: number
      readonly owner = 'me'
      constructor(balance: number) {
        this.#balance = balance
      }
      get balance(): number {
        return this.#balance
      }
    }
    class Special extends Account {}
    const [ours, theirs] = mp.Pipe()
    for (const it of [new Account(1), new Special(2)]) {
      const error = t.throws(() => ours.sendSync({ accounts: [it] }), {
        instanceOf: mp.PicklingError,
      })
      t.regex(
        error?.message ?? '',
        /^cannot send obj\.accounts\[0\]: class Account has private fields \(#balance\), which only its constructor can make; give it a method \[Symbol\.for\('mp\.reduce'\)\]/,
      )
    }
    t.false(theirs.pollSync())
    ours.close()
    theirs.close()
    class Open {
      readonly #hidden: number
      constructor(hidden: number) {
        this.#hidden = hidden
      }
      get hidden(): number {
        return this.#hidden
      }
      [Symbol.for('mp.reduce')](): unknown {
        return [(hidden: number) => new Open(hidden), [this.#hidden]]
      }
    }
    class OnlyStatic {
      static readonly #count = 1
      readonly text = '#no field'
      static count(): number {
        return OnlyStatic.#count
      }
    }
    await withOtherSide(async (other) => {
      // The class itself can travel: there it is defined, private fields and all.
      await gives(t, other, (type: typeof Account) => new type(7).balance, 7, 'call', Account)
      await gives(t, other, (it: Open) => it.hidden, 3, 'call', new Open(3))
      await gives(t, other, (it: OnlyStatic) => it.text, '#no field', 'call', new OnlyStatic())
    })
  },
)

test.serial('a subclass of Process that is no export', async (t) => {
  const [ours, theirs] = mp.Pipe()
  const greeting = 'hello'
  class Greeter extends mp.Process {
    constructor(readonly connection: typeof theirs) {
      super({ name: 'greeter' })
    }

    override run(): void {
      this.connection.sendSync([greeting, this.name, this instanceof Greeter])
    }
  }
  const p = new Greeter(theirs)
  p.start()
  theirs.close()
  t.deepEqual(await ours.recv(), ['hello', 'greeter', true])
  await p.join()
  t.is(p.exitcode, 0)
  ours.close()
})

/**
 * Objects from programs that the engine has made of pickles.
 * @module
 */
import { UnpicklingError } from '../errors.js'
import { Float } from '../shareable-list.js'
import { callKnown, globalOf, numpyState } from './known.js'
import { Dtype } from './numpy.js'
import * as p from './program.js'
import { type Registered, registeredName } from './registry.js'
import { Shape } from './shapes.js'
import { ByteArray, FrozenSet, Global, PythonObject, setOwn, Tuple } from './values.js'

/** Two words of a double, and the double. */
const words = new Int32Array(2)
const double = new Float64Array(words.buffer)
const LOW = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1
const HIGH = 1 - LOW

const LARGEST = Number.MAX_SAFE_INTEGER

/** A bigint from little-endian bytes in two's complement. */
const bigintFrom = (bytes: Uint8Array): bigint => {
  const size = bytes.length
  if (size === 0) return 0n
  const turned = Buffer.from(bytes).reverse()
  const value = BigInt(`0x${turned.toString('hex')}`)
  return turned[0]! >= 0x80 ? value - (1n << BigInt(8 * size)) : value
}

/** Memory of its own for bytes, which goes with them. */
const copied = (bytes: Uint8Array): Buffer => {
  if (bytes.length < 4096) return Buffer.from(bytes)
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

const malformed = (what: string): UnpicklingError => new UnpicklingError(what)

/** Builds the object of a program. */
export class Builder {
  readonly #program: p.Program
  readonly #lossless: boolean
  readonly #slots: unknown[]
  readonly #globals: unknown[] = []
  /** Who made a value that is not a record, for its state and items. */
  readonly #makers = new Map<object, Registered>()
  /** What the program has said about globals that were met. */
  readonly #registered = new Map<Global, Registered>()
  /** The slots of what calls have made: a state may put something else in their place. */
  readonly #places = new Map<unknown, number>()

  constructor(program: p.Program, lossless: boolean) {
    this.#program = program
    this.#lossless = lossless
    this.#slots = new Array<unknown>(program.slots).fill(undefined)
  }

  /** Runs the program. */
  run(): unknown {
    const program = this.#program
    const { bytes, words: code } = program
    const lossless = this.#lossless
    const slots = this.#slots
    const shapes = program.shapes().map((keys) => new Shape(keys))
    const stack: unknown[] = []
    let top = 0
    let at = program.start
    // Slot 0 takes what nobody needs again.
    for (;;) {
      const instruction = code[at]!
      switch (instruction & 0xff) {
        case p.SKIP:
          at += instruction >>> 8
          continue
        case p.NONE:
          stack[top++] = null
          at++
          continue
        case p.TRUE:
          stack[top++] = true
          at++
          continue
        case p.FALSE:
          stack[top++] = false
          at++
          continue
        case p.INT:
          stack[top++] = code[at + 1]
          at += 2
          continue
        case p.NUMBER:
          words[LOW] = code[at + 1]!
          words[HIGH] = code[at + 2]!
          stack[top++] = double[0]
          at += 3
          continue
        case p.FLOAT:
          words[LOW] = code[at + 1]!
          words[HIGH] = code[at + 2]!
          stack[top++] = lossless ? exactly(double[0]!) : double[0]
          at += 3
          continue
        case p.STRING:
          stack[top++] = program.text(instruction >>> 8, code[at + 1]! >>> 0, code[at + 2]! >>> 0)
          at += 3
          continue
        case p.TABLE_STRING:
          stack[top++] = program.string(code[at + 1]!)
          at += 3
          continue
        case p.LONG: {
          const start = code[at + 1]! >>> 0
          const value = bigintFrom(bytes.subarray(start, start + (code[at + 2]! >>> 0)))
          stack[top++] = slots[code[at + 3]!] = narrowed(value)
          at += 4
          continue
        }
        case p.LONG_TEXT: {
          const text = program.text(0, code[at + 1]! >>> 0, code[at + 2]! >>> 0)
          stack[top++] = slots[code[at + 3]!] = narrowed(BigInt(text))
          at += 4
          continue
        }
        case p.BYTES: {
          const [start, length] = [code[at + 1]! >>> 0, code[at + 2]! >>> 0]
          const source =
            instruction >>> 8 === 0
              ? bytes.subarray(start, start + length)
              : program.besides(start, length)
          stack[top++] = slots[code[at + 3]!] = copied(source)
          at += 4
          continue
        }
        case p.BYTEARRAY: {
          const start = code[at + 1]! >>> 0
          const source = bytes.subarray(start, start + (code[at + 2]! >>> 0))
          stack[top++] = slots[code[at + 3]!] = lossless ? new ByteArray(source) : copied(source)
          at += 4
          continue
        }
        case p.TUPLE: {
          const count = code[at + 1]!
          top -= count
          const made: unknown[] = lossless ? new Tuple() : []
          for (let i = 0; i < count; i++) made.push(stack[top + i])
          stack[top++] = slots[code[at + 2]!] = made
          at += 3
          continue
        }
        case p.LIST:
          stack[top++] = slots[code[at + 1]!] = []
          at += 2
          continue
        case p.LIST_OF: {
          const count = code[at + 1]!
          top -= count
          stack[top] = slots[code[at + 2]!] = stack.slice(top, top + count)
          top++
          at += 3
          continue
        }
        case p.APPENDS: {
          const count = code[at + 1]!
          top -= count
          const list = stack[top - 1]
          if (isPlainList(list)) for (let i = 0; i < count; i++) list.push(stack[top + i])
          else this.#append(list, stack.slice(top, top + count))
          at += 2
          continue
        }
        case p.APPEND_INTS: {
          const end = at + 2 + code[at + 1]!
          const list = stack[top - 1]
          if (isPlainList(list)) for (let i = at + 2; i < end; i++) list.push(code[i])
          else this.#append(list, Array.from(code.subarray(at + 2, end)))
          at = end
          continue
        }
        case p.APPEND_FLOATS: {
          const end = at + 2 + 2 * code[at + 1]!
          const list = stack[top - 1]
          const items = isPlainList(list) ? list : []
          for (let i = at + 2; i < end; i += 2) {
            words[LOW] = code[i]!
            words[HIGH] = code[i + 1]!
            items.push(lossless ? exactly(double[0]!) : double[0])
          }
          if (items !== list) this.#append(list, items)
          at = end
          continue
        }
        case p.OBJECT:
          stack[top++] = slots[code[at + 1]!] = lossless ? new Map() : {}
          at += 2
          continue
        case p.MAP:
          stack[top++] = slots[code[at + 1]!] = new Map()
          at += 2
          continue
        case p.OBJECT_OF:
        case p.MAP_OF: {
          const count = 2 * code[at + 1]!
          const made = lossless || (instruction & 0xff) === p.MAP_OF ? new Map() : {}
          top -= count
          setPairs(made, stack, top, count)
          stack[top++] = slots[code[at + 2]!] = made
          at += 3
          continue
        }
        case p.SET_ITEMS: {
          const count = 2 * code[at + 1]!
          top -= count
          this.#setItems(stack, top, count)
          at += 2
          continue
        }
        case p.RECORD:
        case p.RECORD_MAP: {
          const shape = shapes[code[at + 1]!]!
          top -= shape.keys.length
          const asMap = lossless || (instruction & 0xff) === p.RECORD_MAP
          const made = asMap ? shape.map(stack, top) : shape.make(stack, top)
          stack[top++] = slots[code[at + 2]!] = made
          at += 3
          continue
        }
        case p.SET:
          stack[top++] = slots[code[at + 1]!] = new Set()
          at += 2
          continue
        case p.FROZENSET: {
          const count = code[at + 1]!
          top -= count
          const made: Set<unknown> = lossless ? new FrozenSet() : new Set()
          for (let i = 0; i < count; i++) made.add(stack[top + i])
          stack[top++] = slots[code[at + 2]!] = made
          at += 3
          continue
        }
        case p.ADD_ITEMS: {
          const count = code[at + 1]!
          top -= count
          const set = stack[top - 1]
          if (!(set instanceof Set)) throw malformed('only sets are added to')
          for (let i = 0; i < count; i++) set.add(stack[top + i])
          at += 2
          continue
        }
        case p.GLOBAL:
          stack[top++] = this.#global(code[at + 1]!)
          at += 2
          continue
        case p.REDUCE: {
          top--
          const made = this.#call(stack[top - 1], argumentsOf(stack[top]), null, 'call')
          stack[top - 1] = this.#keep(code[at + 1]!, made)
          at += 2
          continue
        }
        case p.NEWOBJ: {
          top--
          const made = this.#call(stack[top - 1], argumentsOf(stack[top]), null, 'new')
          stack[top - 1] = this.#keep(code[at + 1]!, made)
          at += 2
          continue
        }
        case p.NEWOBJ_EX: {
          top -= 2
          const made = this.#call(stack[top - 1], argumentsOf(stack[top]), stack[top + 1], 'new')
          stack[top - 1] = this.#keep(code[at + 1]!, made)
          at += 2
          continue
        }
        case p.OBJ: {
          const count = code[at + 1]!
          top -= count
          const made = this.#call(stack[top - 1], stack.slice(top, top + count), null, 'call')
          stack[top - 1] = this.#keep(code[at + 2]!, made)
          at += 3
          continue
        }
        case p.INST: {
          const count = code[at + 2]!
          top -= count
          const type = this.#global(code[at + 1]!)
          const made = this.#call(type, stack.slice(top, top + count), null, 'call')
          stack[top++] = this.#keep(code[at + 3]!, made)
          at += 4
          continue
        }
        case p.BUILD: {
          top--
          const before = stack[top - 1]
          const after = this.#setState(before, stack[top])
          if (after !== before) this.#replace(stack, top, before, after)
          at++
          continue
        }
        case p.GET:
          stack[top++] = slots[code[at + 1]!]
          at += 2
          continue
        case p.POP:
          top -= code[at + 1]!
          at += 2
          continue
        case p.END:
          return stack[top - 1]
        default:
          throw malformed('the engine and the facade are of different versions')
      }
    }
  }

  /** What a global is: the program's own value, or a name. */
  #global(number: number): unknown {
    const known = this.#globals[number]
    if (known !== undefined) return known
    const [module, name] = this.#program.global(number)
    const global = globalOf(module, name)
    const registered =
      registeredName(global.module, global.name) ?? registeredName(module, name)
    if (registered !== undefined) this.#registered.set(global, registered)
    const made = registered !== undefined && 'value' in registered ? registered.value : global
    this.#globals[number] = made
    return made
  }

  #call(callable: unknown, args: unknown[], kwargs: unknown, how: 'call' | 'new'): unknown {
    const registered = this.#registered.get(callable as Global)
    if (registered?.load !== undefined) {
      const made: unknown = registered.load([...args], namedOf(kwargs))
      if (typeof made === 'object' && made !== null) this.#makers.set(made, registered)
      return made
    }
    if (callable instanceof Global) {
      const again = viaCopyreg(callable, args)
      if (again !== undefined) return this.#call(...again)
      // A class that is called by name is no different from one whose __new__ is.
      if (kwargs === null) {
        const made = callKnown(callable, args, this.#lossless)
        if (made !== undefined) return made
      }
    } else if (callable instanceof PythonObject) {
      const again = args.length === 0 ? viaPartial(callable) : undefined
      if (again !== undefined) return this.#call(...again)
    } else throw malformed('only classes and functions are called')
    return new PythonObject(callable, args, how, emptyIsNone(kwargs))
  }

  /** What a call has made goes into its slot. */
  #keep(slot: number, made: unknown): unknown {
    if (slot !== 0) {
      this.#slots[slot] = made
      this.#places.set(made, slot)
    }
    return made
  }

  #append(list: unknown, items: unknown[]): void {
    const registered = this.#makerOf(list)
    if (registered?.append !== undefined) registered.append(list, items)
    else if (list instanceof PythonObject) {
      list.items ??= []
      for (const item of items) list.items.push(item)
    } else if (Array.isArray(list)) for (const item of items) list.push(item)
    else throw malformed('only lists are appended to')
  }

  #setItems(stack: unknown[], from: number, count: number): void {
    const target = stack[from - 1]
    const registered = this.#makerOf(target)
    if (registered?.setItems === undefined && isDictionary(target)) {
      setPairs(target, stack, from, count)
      return
    }
    const entries: [unknown, unknown][] = []
    for (let i = 0; i < count; i += 2) entries.push([stack[from + i], stack[from + i + 1]])
    if (registered?.setItems !== undefined) registered.setItems(target, entries)
    else if (target instanceof PythonObject) {
      target.entries ??= []
      for (const entry of entries) target.entries.push(entry)
    } else throw malformed('only dictionaries have items')
  }

  /** Sets a state; returns what takes the value's place, which is mostly itself. */
  #setState(value: unknown, state: unknown): unknown {
    const registered = this.#makerOf(value)
    if (registered?.setState !== undefined) return registered.setState(value, state) ?? value
    const other = numpyState(value, state)
    if (other !== undefined) return other
    if (value instanceof Dtype) return withState(value, state)
    if (value instanceof PythonObject) {
      value.state = state
      return value
    }
    if (typeof value !== 'object' || value === null) throw malformed('a state of no object')
    // A state of attributes, or of attributes and what is in __slots__.
    for (const part of Array.isArray(state) && state.length === 2 ? state : [state]) {
      if (part === null) continue
      if (!isDictionary(part)) throw malformed(`a state that ${nameOf(value)} does not have`)
      for (const [name, field] of entriesOf(part)) setOwn(value, String(name), field)
    }
    return value
  }

  #makerOf(value: unknown): Registered | undefined {
    return this.#makers.size === 0 ? undefined : this.#makers.get(value as object)
  }

  /** Puts another value where one is: on the stack, and in its slot. */
  #replace(stack: unknown[], top: number, before: unknown, after: unknown): void {
    stack[top - 1] = after
    const maker = this.#makerOf(before)
    if (maker !== undefined && typeof after === 'object' && after !== null) {
      this.#makers.set(after, maker)
    }
    const slot = this.#places.get(before)
    if (slot !== undefined) this.#keep(slot, after)
  }
}

/** A float that is written as one again, though it has no fraction. */
const exactly = (value: number): number | Float =>
  Number.isInteger(value) && !Object.is(value, -0) ? new Float(value) : value

const narrowed = (value: bigint): number | bigint =>
  value <= LARGEST && value >= -LARGEST ? Number(value) : value

const isPlainList = (value: unknown): value is unknown[] =>
  Array.isArray(value) && !(value instanceof Tuple)

/** Plain objects and Maps: what dictionaries are here. */
const isDictionary = (value: unknown): value is object => {
  if (value instanceof Map) return true
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  )
}

const entriesOf = (value: object): Iterable<[unknown, unknown]> =>
  value instanceof Map ? value : Object.entries(value)

const setPairs = (target: object, stack: unknown[], from: number, count: number): void => {
  if (target instanceof Map) {
    for (let i = from; i < from + count; i += 2) target.set(stack[i], stack[i + 1])
    return
  }
  for (let i = from; i < from + count; i += 2) {
    const key = stack[i]
    if (typeof key !== 'string') throw malformed('a key that is no string')
    if (key === '__proto__') setOwn(target, key, stack[i + 1])
    else (target as Record<string, unknown>)[key] = stack[i + 1]
  }
}

const argumentsOf = (value: unknown): unknown[] => {
  if (Array.isArray(value)) return value
  throw malformed('the arguments of a call are no tuple')
}

const namedOf = (kwargs: unknown): Record<string, unknown> => {
  const named: Record<string, unknown> = {}
  if (kwargs === null) return named
  if (!isDictionary(kwargs)) throw malformed('keyword arguments that are no dictionary')
  for (const [name, value] of entriesOf(kwargs)) setOwn(named, String(name), value)
  return named
}

const emptyIsNone = (kwargs: unknown): unknown => {
  if (kwargs === null || !isDictionary(kwargs)) return null
  const size = kwargs instanceof Map ? kwargs.size : Object.keys(kwargs).length
  return size === 0 ? null : kwargs
}

type Call = [callable: unknown, args: unknown[], kwargs: unknown, how: 'call' | 'new']

/** The helpers by which old protocols, and new ones for odd classes, make instances. */
const viaCopyreg = ({ module, name }: Global, args: unknown[]): Call | undefined => {
  if (module !== 'copyreg') return undefined
  const [type, ...rest] = args
  if (name === '__newobj__' && type !== undefined) return [type, rest, null, 'new']
  if (name === '__newobj_ex__' && Array.isArray(rest[0])) return [type, rest[0], rest[1], 'new']
  const [base, state] = rest
  const plain = base instanceof Global && base.module === 'builtins' && base.name === 'object'
  if (name === '_reconstructor' && plain && state === null) return [type, [], null, 'new']
  return undefined
}

const isCallOf = (value: unknown, module: string, name: string): value is PythonObject =>
  value instanceof PythonObject &&
  value.callable instanceof Global &&
  value.callable.module === module &&
  value.callable.name === name

/** How protocols 2 and 3 make an instance with keyword arguments: a partial call of `__new__`. */
const viaPartial = (callable: PythonObject): Call | undefined => {
  if (!isCallOf(callable, 'functools', 'partial') || !Array.isArray(callable.state)) return undefined
  const [func, args, kwargs] = callable.state
  if (!isCallOf(func, 'builtins', 'getattr') || func.args[1] !== '__new__') return undefined
  if (!Array.isArray(args) || args[0] !== func.args[0]) return undefined
  return [args[0], args.slice(1), kwargs, 'new']
}

/** The record of a dtype that has no typed array. */
const withState = (dtype: Dtype, state: unknown): PythonObject => {
  const record = new PythonObject(new Global('numpy', 'dtype'), [dtype.name, false, true])
  record.state = state
  return record
}

const nameOf = (value: object): string => value.constructor?.name ?? 'it'

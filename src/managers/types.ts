/**
 * The types that managers have from the beginning: what makes their referents, and which methods of them
 * proxies may call. The names are Python's, as they are on the way.
 * @module
 */
import { DictReferent } from './dict-referent.js'
import { ListReferent } from './list-referent.js'
import {
  BoundedSemaphoreReferent,
  LockReferent,
  RLockReferent,
  SemaphoreReferent,
} from './locks.js'
import { poolReferent } from './pool-referent.js'
import { QueueReferent } from './queue-referent.js'
import { SetReferent } from './set-referent.js'
import { BarrierReferent, ConditionReferent, EventReferent } from './signals.js'
import { Slice } from './slice.js'
import { ArrayReferent, IteratorReferent, NamespaceReferent, ValueReferent } from './values.js'

/** Names in a row. */
const words = (text: string): readonly string[] => text.split(' ')

/** The methods that proxies of the types may call. */
export const exposed = {
  Queue: words('empty full get get_nowait join put put_nowait qsize shutdown task_done'),
  Event: words('is_set set clear wait'),
  Acquirer: words('acquire release locked'),
  Condition: words('acquire release locked wait notify notify_all'),
  Barrier: words('__getattribute__ wait abort reset'),
  list: words(
    '__add__ __contains__ __delitem__ __getitem__ __imul__ __len__ __mul__ __reversed__ __rmul__ ' +
      '__setitem__ append clear copy count extend index insert pop remove reverse sort',
  ),
  dict: words(
    '__contains__ __delitem__ __getitem__ __ior__ __iter__ __len__ __or__ __reversed__ __ror__ ' +
      '__setitem__ clear copy fromkeys get items keys pop popitem setdefault update values',
  ),
  set: words(
    '__and__ __class_getitem__ __contains__ __iand__ __ior__ __isub__ __iter__ __ixor__ __len__ ' +
      '__or__ __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ __ge__ __gt__ __le__ __lt__ add ' +
      'clear copy difference difference_update discard intersection intersection_update isdisjoint ' +
      'issubset issuperset pop remove symmetric_difference symmetric_difference_update union update',
  ),
  Value: words('get set'),
  Array: words('__len__ __getitem__ __setitem__'),
  Namespace: words('__getattribute__ __setattr__ __delattr__'),
  Iterator: words('__next__ send throw close'),
  Pool: words(
    'apply apply_async close imap imap_unordered join map map_async starmap starmap_async terminate',
  ),
  AsyncResult: words('get ready successful wait'),
} as const

/** What is to be made for a type, from the arguments of its creation. */
export type Factory = (...args: any[]) => unknown

const made =
  <A extends unknown[]>(type: new (...args: A) => object): Factory =>
  (...args: A) =>
    new type(...args)

/** How the referents of the types are made. */
export const factories: Readonly<Record<string, Factory>> = {
  Queue: made(QueueReferent),
  JoinableQueue: made(QueueReferent),
  Event: made(EventReferent),
  Lock: made(LockReferent),
  RLock: made(RLockReferent),
  Semaphore: made(SemaphoreReferent),
  BoundedSemaphore: made(BoundedSemaphoreReferent),
  Condition: made(ConditionReferent),
  Barrier: made(BarrierReferent),
  Pool: poolReferent,
  list: made(ListReferent),
  dict: made(DictReferent),
  set: made(SetReferent),
  Value: made(ValueReferent),
  Array: made(ArrayReferent),
  Namespace: made(NamespaceReferent),
}

/** Which methods of a type return something to be shared, and of which type. */
export const returned: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  dict: { __iter__: 'Iterator' },
  set: { __iter__: 'Iterator' },
  Pool: {
    apply_async: 'AsyncResult',
    map_async: 'AsyncResult',
    starmap_async: 'AsyncResult',
    imap: 'Iterator',
    imap_unordered: 'Iterator',
  },
}

/**
 * What a result that is to be shared becomes: containers of JavaScript's get the methods of those of
 * Python's where these are exposed, and what is iterated one step at a time an iterator's.
 */
export const referentOf = (object: unknown, methods: readonly string[]): unknown => {
  if (methods.includes('__next__')) {
    return typeof (object as { __next__?: unknown } | null)?.__next__ === 'function'
      ? object
      : new IteratorReferent(object)
  }
  if (Array.isArray(object) && methods.includes('__getitem__')) return ListReferent.over(object)
  if (object instanceof Map && methods.includes('__getitem__')) return DictReferent.over(object)
  if (object instanceof Set && methods.includes('__contains__')) return SetReferent.over(object)
  return object
}

const builtins: readonly (abstract new (...args: any[]) => unknown)[] = [
  ListReferent,
  DictReferent,
  SetReferent,
  QueueReferent,
  EventReferent,
  LockReferent,
  RLockReferent,
  SemaphoreReferent,
  ConditionReferent,
  BarrierReferent,
  ValueReferent,
  ArrayReferent,
  NamespaceReferent,
  IteratorReferent,
]

/** Whether a referent is of one of the package's own types. */
export const isBuiltin = (object: unknown): boolean =>
  builtins.some((type) => object instanceof type)

/** What a referent is apart from its methods: what a copy of it is. */
export const copyOf = (object: unknown): unknown => {
  if (object instanceof ListReferent) return object.items
  if (object instanceof DictReferent) return object.map
  if (object instanceof SetReferent) return object.set
  if (object instanceof ValueReferent) return object.value
  if (object instanceof ArrayReferent) return object.__getitem__(ALL)
  return object instanceof NamespaceReferent ? object.toJSON() : object
}

const ALL = new Slice(null, null, null)

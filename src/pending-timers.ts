/**
 * What a process has in line: timers, immediates, ticks, rejections that nobody has handled yet. Node keeps
 * them to itself; the heap and the inspector do not.
 * @module
 */
import type { Session } from 'node:inspector'
import { createRequire } from 'node:module'

const HAND = Symbol.for('node-multiprocessing.prototype')
const hand = globalThis as { [HAND]?: unknown }
const IN_HAND = `globalThis[Symbol.for('${HAND.description}')]`

/** A list of what was set with `setImmediate`; Node has one of those to come and one of those under way. */
interface List {
  head: object | null
  tail: object | null
}

/** Variables of Node's own modules. */
interface Internals {
  readonly immediateQueue?: List
  /** How many there are, how many keep the process alive, and whether some are under way. */
  readonly immediateInfo?: Uint32Array
  /** What was given to `process.nextTick`. */
  readonly queue?: Line
  readonly pendingUnhandledRejections?: Line
  readonly asyncHandledRejections?: Line
}

/** One of several kinds, as Node has it. */
interface Line {
  clear?(): void
  shift?(): unknown
}

const UNDER_WAY = 2

let internals: Internals | undefined
let lists: readonly List[] | undefined

/** Finds, before a process is copied, what the copy is to leave alone. */
export const findPending = (): void => {
  internals ??= inspecting(({ seenBy }) => {
    const ticks = seenBy(process.nextTick, 'queue')
    const { processPromiseRejections: rejections } = ticks
    return {
      ...pick(seenBy(clearImmediate, 'immediateQueue'), 'immediateQueue', 'immediateInfo'),
      ...pick(ticks, 'queue'),
      ...(typeof rejections === 'function' &&
        pick(
          seenBy(rejections, 'pendingUnhandledRejections'),
          'pendingUnhandledRejections',
          'asyncHandledRejections',
        )),
    }
  })
}

const pick = (from: Record<string, unknown>, ...names: (keyof Internals)[]): Internals =>
  Object.fromEntries(names.map((name) => [name, from[name]]))

/** Forgets what is to be done as soon as the present call is over. */
export const clearTicks = (): void => {
  const { queue, pendingUnhandledRejections, asyncHandledRejections } = internals ?? {}
  for (const line of [queue, pendingUnhandledRejections, asyncHandledRejections]) {
    if (line?.clear) line.clear()
    else while (line?.shift?.() != null);
  }
}

/** Calls off everything that was set with `setTimeout`, `setInterval` and `setImmediate`. */
export const clearTimers = (): void => {
  inspecting((session) => {
    const [timeout, immediate] = [setTimeout(() => {}, 1), setImmediate(() => {})]
    for (const timer of session.allLike(timeout)) clearTimeout(timer as NodeJS.Timeout)
    for (const timer of session.allLike(immediate)) clearImmediate(timer as NodeJS.Immediate)
  })
}

/** Node was going through a list of immediates, and would go on there: at one that it began with. */
export const leaveImmediates = (): void => {
  const { immediateInfo, immediateQueue } = internals ?? {}
  if (!immediateInfo?.[UNDER_WAY] || immediateQueue === undefined) return
  lists ??= inspecting((session) => session.allLike(immediateQueue)) as List[]
  for (const list of lists) {
    list.head = null
    list.tail = null
  }
}

interface Remote {
  readonly objectId?: string
}

interface Inspecting {
  /** The variables that a function sees, those among which there is one of that name. */
  seenBy(fn: Function, name: string): Record<string, unknown>
  /** All objects that have the prototype of this one. */
  allLike(sample: object): unknown[]
}

/** The inspector runs inside this process, and has answered when a call returns. */
const inspecting = <T>(use: (session: Inspecting) => T): T => {
  const inspector = createRequire(import.meta.url)(
    'node:inspector',
  ) as typeof import('node:inspector')
  const session = new inspector.Session()
  session.connect()
  try {
    return use(toolsOf(session))
  } finally {
    session.disconnect()
    delete hand[HAND]
  }
}

const toolsOf = (session: Session): Inspecting => {
  const post = <T>(method: string, parameters: object): T => {
    let answer: T | undefined
    session.post(method, parameters, (error, result) => {
      if (error) throw error
      answer = result as T
    })
    return answer!
  }
  const idOf = (object: unknown): string => {
    hand[HAND] = object
    return post<{ result: { objectId: string } }>('Runtime.evaluate', { expression: IN_HAND })
      .result.objectId
  }
  const take = (objectId: string, expression: string): unknown => {
    const functionDeclaration = `function () { ${IN_HAND} = ${expression} }`
    post('Runtime.callFunctionOn', { objectId, functionDeclaration })
    return hand[HAND]
  }
  const allLike = (sample: object): unknown[] => {
    const { objects } = post<{ objects: { objectId: string } }>('Runtime.queryObjects', {
      prototypeObjectId: idOf(Object.getPrototypeOf(sample)),
    })
    return take(objects.objectId, 'this') as unknown[]
  }
  const seenBy = (fn: Function, name: string): Record<string, unknown> => {
    const { internalProperties } = post<{ internalProperties?: { name: string; value?: Remote }[] }>(
      'Runtime.getProperties',
      { objectId: idOf(fn), ownProperties: true },
    )
    const scopes = internalProperties?.find((property) => property.name === '[[Scopes]]')?.value
    if (scopes?.objectId === undefined) return {}
    const all = take(scopes.objectId, 'Array.from(this, ({ object }) => object)')
    return (all as Record<string, unknown>[]).find((object) => name in object) ?? {}
  }
  return { seenBy, allLike }
}

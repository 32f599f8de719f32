/**
 * What a process has in line: timers, immediates, ticks, rejections that nobody has handled yet. Node keeps
 * them to itself; the heap and the inspector do not.
 * @module
 */
import { inspecting } from './inspected-heap.js'

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
    for (const timer of session.allLike(Object.getPrototypeOf(timeout)))
      clearTimeout(timer as NodeJS.Timeout)
    for (const timer of session.allLike(Object.getPrototypeOf(immediate)))
      clearImmediate(timer as NodeJS.Immediate)
  })
}

/** Node was going through a list of immediates, and would go on there: at one that it began with. */
export const leaveImmediates = (): void => {
  const { immediateInfo, immediateQueue } = internals ?? {}
  if (!immediateInfo?.[UNDER_WAY] || immediateQueue === undefined) return
  lists ??= inspecting(({ allLike }) => allLike(Object.getPrototypeOf(immediateQueue))) as List[]
  for (const list of lists) {
    list.head = null
    list.tail = null
  }
}

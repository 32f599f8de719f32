/**
 * The timers that a process has set, all of them. Node keeps them to itself; the heap does not.
 * @module
 */
import type { Session } from 'node:inspector'
import { createRequire } from 'node:module'

const HAND = Symbol.for('node-multiprocessing.prototype')
const hand = globalThis as { [HAND]?: unknown }

/** Calls off everything that was set with `setTimeout`, `setInterval` and `setImmediate`. */
export const clearTimers = (): void => {
  const { Session } = createRequire(import.meta.url)(
    'node:inspector',
  ) as typeof import('node:inspector')
  const session = new Session()
  session.connect()
  const [timeout, immediate] = [setTimeout(() => {}, 1), setImmediate(() => {})]
  callOnAll(session, timeout, 'clearTimeout')
  callOnAll(session, immediate, 'clearImmediate')
  session.disconnect()
}

/** Calls a global function with every object that has the prototype of this one. */
const callOnAll = (session: Session, sample: object, name: string): void => {
  const post = <T>(method: string, parameters: object): T => {
    let answer: T | undefined
    session.post(method, parameters, (error, result) => {
      if (error) throw error
      answer = result as T
    })
    return answer!
  }
  hand[HAND] = Object.getPrototypeOf(sample)
  const expression = `globalThis[Symbol.for('${HAND.description}')]`
  const { result } = post<{ result: { objectId: string } }>('Runtime.evaluate', { expression })
  const { objects } = post<{ objects: { objectId: string } }>('Runtime.queryObjects', {
    prototypeObjectId: result.objectId,
  })
  post('Runtime.callFunctionOn', {
    objectId: objects.objectId,
    functionDeclaration: `function () { for (const timer of this) ${name}(timer) }`,
  })
  delete hand[HAND]
}

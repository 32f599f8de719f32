/**
 * What is in the heap of this process, and what its functions see: the inspector tells.
 * @module
 */
import type { Session } from 'node:inspector'
import { createRequire } from 'node:module'

const HAND = Symbol.for('node-multiprocessing.prototype')
const hand = globalThis as { [HAND]?: unknown }
const IN_HAND = `globalThis[Symbol.for('${HAND.description}')]`

interface Remote {
  readonly objectId?: string
}

/** What the inspector is asked for. */
export interface Inspecting {
  /** The variables that a function sees, those among which there is one of that name. */
  seenBy(fn: Function, name: string): Record<string, unknown>
  /** All objects that have this prototype. */
  allLike(prototype: object): unknown[]
  /** The source of the ES module at this URL, as it was compiled; nothing when it was not. */
  sourceOf(url: string): string | undefined
}

/** The inspector runs inside this process, and has answered when a call returns. */
export const inspecting = <T>(use: (session: Inspecting) => T): T => {
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
  const allLike = (prototype: object): unknown[] => {
    const { objects } = post<{ objects: { objectId: string } }>('Runtime.queryObjects', {
      prototypeObjectId: idOf(prototype),
    })
    return take(objects.objectId, 'this') as unknown[]
  }
  const seenBy = (fn: Function, name: string): Record<string, unknown> => {
    const { internalProperties } = post<{
      internalProperties?: { name: string; value?: Remote }[]
    }>('Runtime.getProperties', { objectId: idOf(fn), ownProperties: true })
    const scopes = internalProperties?.find((property) => property.name === '[[Scopes]]')?.value
    if (scopes?.objectId === undefined) return {}
    const all = take(scopes.objectId, 'Array.from(this, ({ object }) => object)')
    return (all as Record<string, unknown>[]).find((object) => name in object) ?? {}
  }
  const sourceOf = (url: string): string | undefined => {
    const ids: string[] = []
    session.on('Debugger.scriptParsed', ({ params }) => {
      if (params.url === url && params.isModule) ids.push(params.scriptId)
    })
    post('Debugger.enable', {})
    try {
      const scriptId = ids.at(-1)
      if (scriptId === undefined) return undefined
      return post<{ scriptSource: string }>('Debugger.getScriptSource', { scriptId }).scriptSource
    } finally {
      post('Debugger.disable', {})
    }
  }
  return { seenBy, allLike, sourceOf }
}

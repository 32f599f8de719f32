/**
 * What only the debugger knows about a function: the script it was compiled from, and the variables it
 * sees. The inspector runs inside this process and never pauses it.
 * @module
 */
import type { Session } from 'node:inspector'
import { createRequire } from 'node:module'

/** Where a function comes from. */
export interface Origin {
  /** The script's URL; empty for code that came from no file. */
  readonly url: string
  /** The script as it was compiled, after any loader had its way with it. */
  source(): string
  /** Where in that its parameters, or its body, begin: a place within the function, in characters. */
  place(): number
  /** The variables at the top of its module, if it was compiled as one: names and present values. */
  moduleVariables(): Record<string, unknown> | undefined
}

interface RemoteObject {
  objectId?: string
  description?: string
  value?: unknown
}
interface Property {
  name: string
  value?: RemoteObject
}
interface Properties {
  result: Property[]
  internalProperties?: Property[]
}

interface Location {
  scriptId: string
  lineNumber: number
  columnNumber: number
}

/** The inspector's name for what it shows us. */
const GROUP = 'node-multiprocessing'

const HAND = Symbol.for('node-multiprocessing.inspected')
const hand = globalThis as { [HAND]?: unknown }

let session: Session | undefined
const urls = new Map<string, string>()

/** Everything posted is answered before the call returns, as the session is in this thread. */
const post = <T>(method: string, parameters: object = {}): T => {
  let answer: { error: Error | null; result: unknown } | undefined
  session!.post(method, parameters, (error, result) => {
    answer = { error, result }
  })
  if (answer === undefined || answer.error) {
    throw new Error(`the inspector does not answer ${method}`, { cause: answer?.error })
  }
  return answer.result as T
}

const inspected = <T>(work: () => T): T => {
  if (!session) {
    const inspector = createRequire(import.meta.url)(
      'node:inspector',
    ) as typeof import('node:inspector')
    session = new inspector.Session()
    session.connect()
    session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url))
  }
  // Enabled, the debugger makes compiled code slower, so it is only for the moment.
  post('Debugger.enable')
  try {
    return work()
  } finally {
    // What the inspector has shown it would hold for ever.
    post('Runtime.releaseObjectGroup', { objectGroup: GROUP })
    post('Debugger.disable')
    delete hand[HAND]
  }
}

const propertiesOf = (objectId: string): Properties =>
  post('Runtime.getProperties', { objectId, ownProperties: true })

const internal = (properties: Properties, name: string): RemoteObject | undefined =>
  properties.internalProperties?.find((property) => property.name === name)?.value

/**
 * Where a function or class was compiled; nothing for native and bound functions. `use` is called while
 * the answer can be asked for more.
 */
export const withOrigin = <T>(fn: unknown, use: (origin: Origin | undefined) => T): T =>
  inspected(() => {
    hand[HAND] = fn
    const expression = `globalThis[Symbol.for('node-multiprocessing.inspected')]`
    const { result } = post<{ result: RemoteObject }>('Runtime.evaluate', {
      expression,
      objectGroup: GROUP,
    })
    const properties = propertiesOf(result.objectId!)
    const location = internal(properties, '[[FunctionLocation]]')?.value as Location | undefined
    if (!location) return use(undefined)
    const scopes = internal(properties, '[[Scopes]]')?.objectId
    const source = (): string =>
      post<{ scriptSource: string }>('Debugger.getScriptSource', location).scriptSource
    return use({
      url: urls.get(location.scriptId) ?? '',
      source,
      place: () => offsetOf(source(), location),
      moduleVariables: () => (scopes === undefined ? undefined : moduleScope(scopes)),
    })
  })

const offsetOf = (source: string, { lineNumber, columnNumber }: Location): number => {
  let start = 0
  for (let line = 0; line < lineNumber; line++) start = source.indexOf('\n', start) + 1
  return start + columnNumber
}

const moduleScope = (scopes: string): Record<string, unknown> | undefined => {
  const scope = propertiesOf(scopes).result.find(({ value }) =>
    value?.description?.startsWith('Module'),
  )
  const objectId = scope?.value?.objectId
  if (objectId === undefined) return undefined
  // The debugger's picture of a scope holds an object like any other, which can be handed over.
  const functionDeclaration = `function () {
    globalThis[Symbol.for('node-multiprocessing.inspected')] = this.object
  }`
  post('Runtime.callFunctionOn', { objectId, functionDeclaration, objectGroup: GROUP })
  return hand[HAND] as Record<string, unknown>
}

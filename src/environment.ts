/**
 * Whether the environment has changed since a fork server has begun, which knows it as it was then.
 * @module
 */
import { native } from './native.js'

/** The environment that the fork server has, as a number; nothing when it is another one anyway. */
let served: number | undefined

/** What tells one environment from another. A worker thread has its own, of which the engine knows nothing. */
const stamp = (): number | undefined =>
  native.isMainThread() ? native.environmentHash() : undefined

/** The fork server that this process uses has the environment that this process has now. */
export const environmentIsServed = (): void => {
  served = stamp()
}

/** The fork server has another one. */
export const environmentIsOwn = (): void => {
  served = undefined
}

/** What a child of the fork server has to be told; null for nothing. */
export const changedEnvironment = (): Record<string, string | undefined> | null =>
  served !== undefined && served === stamp() ? null : { ...process.env }

/** Makes the environment that of whoever had this process started. */
export const adoptEnvironment = (
  environment: Readonly<Record<string, string | undefined>> | null,
): void => {
  if (environment === null) {
    environmentIsServed()
    return
  }
  for (const name of Object.keys(process.env)) {
    if (!Object.hasOwn(environment, name)) delete process.env[name]
  }
  Object.assign(process.env, environment)
  environmentIsOwn()
}

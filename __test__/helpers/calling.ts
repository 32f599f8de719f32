import type { Form } from './calls.js'

/** Calls a method of a proxy, or of a manager, in one of the two forms. */
export const calling =
  (form: Form) =>
  async (on: any, method: string, ...args: unknown[]): Promise<any> =>
    form === 'Sync' ? on[`${method}Sync`](...args) : await on[method](...args)

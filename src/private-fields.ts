/**
 * Classes whose instances only their constructor can make: those that declare private fields.
 * @module
 */
import { isNativeCode } from './builtin-functions.js'
import { native } from './native.js'

const judged = new WeakMap<Function, string | null>()

/** Says why instances of a class cannot be rebuilt without its constructor; null when they can. */
export const refuseInstances = (constructor: Function): string | null => {
  let reason = judged.get(constructor)
  if (reason === undefined) {
    reason = judge(constructor)
    judged.set(constructor, reason)
  }
  return reason
}

const judge = (constructor: Function): string | null => {
  let type: unknown = constructor
  while (typeof type === 'function' && type !== Function.prototype && !isNativeCode(type)) {
    const fields = privateFieldsOf(type)
    if (fields.length > 0) {
      const names = fields.length > 3 ? [...fields.slice(0, 3), '…'] : fields
      return `class ${type.name || '(anonymous)'} has private fields (${names.join(', ')}), which only its constructor can make; give it a method [Symbol.for('mp.reduce')], or register it`
    }
    type = Object.getPrototypeOf(type)
  }
  return null
}

const privateFieldsOf = (type: Function): readonly string[] => {
  const source = Function.prototype.toString.call(type)
  if (!/^class\b/.test(source) || !/#[\p{ID_Start}$_]/u.test(source)) return []
  return native.privateFieldsOf(source)
}

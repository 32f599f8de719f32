/** The task, as piscina and tinypool want it. @module */
export { square as default } from './square.js'

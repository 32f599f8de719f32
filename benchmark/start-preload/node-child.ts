/** The child of child_process.fork that looks a row up. @module */
import { lookUp } from './table.js'

lookUp(Number(process.argv[2]))

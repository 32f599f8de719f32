/** The task, as poolifier wants it. @module */
import { ThreadWorker } from 'poolifier'
import { square } from './square.js'

export default new ThreadWorker<number, number>((x) => square(x!))

/** The task, as workerpool wants it. @module */
import { worker } from 'workerpool'
import { square } from './square.js'

worker({ square })

/**
 * Where a spawned child begins.
 * @module
 */
import { runChild } from './bootstrap.js'

void runChild()

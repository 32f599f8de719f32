/** The child of child_process.fork that waits for something to do. @module */
process.once('message', () => process.disconnect())
process.send!('ready')

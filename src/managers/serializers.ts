/**
 * The two languages of managers: the package's own, and CPython's.
 * @module
 */
import { OwnClient } from './own-client.js'
import { OwnPeer } from './own-peer.js'
import { provideMakers } from './peers.js'
import { PythonClient } from './python-client.js'
import { PythonPeer } from './python-peer.js'
import { provideTakers } from './server.js'

provideTakers({
  native: (server, connection) => new OwnClient(server, connection),
  pickle: (server, connection) => new PythonClient(server, connection),
})

provideMakers({
  native: (address) => new OwnPeer(address),
  pickle: (address) => new PythonPeer(address),
})

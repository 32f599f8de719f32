/** A namespace in a server process. */
import { isMainProcess, Manager } from 'node-multiprocessing'

if (isMainProcess) {
  await using manager = await Manager()
  const Global = await manager.Namespace()
  Global.x = 10
  Global.y = 'hello'
  Global._z = 12.3 // this is an attribute of the proxy
  console.log(String(Global))
}

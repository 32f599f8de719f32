// Pools for a long time, with everything happening to them: `npm run soak -- [minutes]`, ten if not said.
import { soak } from '../build/__test__/helpers/soak.js'

const minutes = Number(process.argv[2] ?? 10)
if (!(minutes > 0)) {
  console.error('npm run soak -- [minutes]')
  process.exit(2)
}
const report = await soak(minutes * 60_000, (line) => console.log(line))
console.log(report)

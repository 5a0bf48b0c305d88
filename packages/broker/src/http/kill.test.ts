import { describeKills } from './kill.contract.ts'

describeKills('on SQLite', { releases: 20, kills: 3 }, async () => ({}))

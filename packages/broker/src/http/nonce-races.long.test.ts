import { describeNonceRaces } from './nonce-races.contract.ts'

// some minutes on a machine of one's own; RACES=1000 on a busy one
describeNonceRaces(Number(process.env['RACES'] ?? 10_000))

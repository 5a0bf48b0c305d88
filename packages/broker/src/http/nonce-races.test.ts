import { describeNonceRaces } from './nonce-races.contract.ts'

describeNonceRaces(16)

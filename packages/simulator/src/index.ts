export { startSimulatedGuest, type SimulatedGuest, type SimulatedGuestOptions } from './simulated-guest.ts'
export { REFERENCE_BOOT, type SimulatedBoot } from './boot-events.ts'
export { SIMULATOR_OID, SimulatorManufacturer } from './manufacturer.ts'
export { SIMULATOR_ERROR_CODES, SimulatorError, type SimulatorErrorCode } from './errors.ts'
export {
  SIMULATED_ISSUER,
  SimulatedTokenAuthority,
  type SimulatedWorkload,
  type TokenRequest,
} from './token-authority.ts'
export { ROOT_PATH, startRootPage, startTokenSocket, type Served } from './token-service.ts'

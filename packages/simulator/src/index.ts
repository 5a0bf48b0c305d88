export { startSimulatedGuest, type SimulatedGuest, type SimulatedGuestOptions } from './simulated-guest.ts'
export { REFERENCE_BOOT, type SimulatedBoot } from './boot-events.ts'
export { SIMULATOR_OID, SimulatorManufacturer } from './manufacturer.ts'
export { SIMULATOR_ERROR_CODES, SimulatorError, type SimulatorErrorCode } from './errors.ts'

export { webCrypto } from './crypto.ts'

export { type EncryptedLayer, readEncryptedLayer, type SchemeName } from './annotations.ts'
export type { KeyHolder, Recipients } from './recipients.ts'
export { type AsymmetricKey, readPrivateKey, readPublicKey } from './schemes/key-file.ts'
export { jweKeys, jweRecipients } from './schemes/jwe.ts'
export { pkcs7Keys, pkcs7Recipients } from './schemes/pkcs7.ts'
export { findPgpKeys, isPgpRing, pgpKeys, pgpRecipients, readPgpPrivateKeys, readPgpPublicKeys } from './schemes/pgp.ts'
export { type OaepHash, pkcs11Keys, pkcs11Recipients, type TokenKey } from './schemes/pkcs11-packet.ts'
export { isPkcs11KeyFile, parsePkcs11KeyFile, type TokenKeyAddress } from './schemes/pkcs11-uri.ts'
export { type TokenAccess, tokenKey, tokenPublicKey } from './schemes/pkcs11-token.ts'
export {
  COCO_PROVIDER,
  type CocoPacket,
  cocoPacketBytes,
  guestKeyResources,
  guestKeys,
  guestRecipient,
  parseCocoPacket,
  resourceOfKid,
  unwrapUnderKek,
  type WrapType,
  wrapUnderKek,
} from './coco-packet.ts'
export { layerDecryptor } from './layer-decryptor.ts'
export { type EncryptedImage, type EncryptedLayerReport, encryptImage, type EncryptRequest } from './encrypt-image.ts'
export { type DecryptedLayerReport, decryptImage, type DecryptRequest } from './decrypt-image.ts'
export { type Rehearsal, rehearseDecryption } from './rehearse.ts'

/**
 * Every code that the image package answers with, and what it means. Codes are API: add freely, never rename or reuse.
 */
export const IMAGE_ERROR_CODES = {
  'digest.malformed': 'A digest is not `algorithm:lower-case-hex` of the right length.',
  'digest.unsupported': 'A digest names an algorithm other than sha256 and sha512.',
  'digest.mismatch': 'Content does not have the digest or the size that its descriptor promised.',

  'reference.malformed': 'An image reference does not follow the grammar host/path:tag@digest.',

  'document.malformed': 'A manifest, index, configuration or layout file breaks its schema.',
  'document.too-large': 'A JSON document is larger than the limit stated for its kind.',

  'chain.media-type': 'A descriptor and the document it points at disagree on what the document is.',
  'chain.platform': 'No manifest, or more than one, fits the platform; or the configuration names another platform.',
  'chain.layers': 'Manifest and configuration disagree on the layers.',

  'layout.missing':
    'An image layout, or an archive of images, lacks a file, or does not have the image that is asked for.',
  'layout.malformed': 'A directory is not an OCI image layout of version 1.0.0.',
  'archive.malformed':
    'A file is not an archive of images: no tar, compressed as a whole, or with entries that none has.',
  'archive.exists': 'There is something already where an archive of an image is to be written.',

  'build.input': 'A file, option or configuration handed to the build cannot go into an image.',

  'source.unavailable': 'A git repository, or an object of it, cannot be read.',
  'source.mismatch': 'An object of a git repository is not what its id says.',
  'source.unsupported':
    'A commit is not named by its whole id, or holds what no build takes: submodules, names that lead elsewhere.',

  'compression.malformed': 'A compressed stream is damaged, cut short, or followed by bytes that belong to no stream.',
  'compression.limit': 'A compressed stream expands beyond the stated ratio, size or window.',
  'compression.unsupported': 'A layer has a media type whose compression is not known.',

  'tar.malformed': 'An archive breaks the tar format, or can be read in more than one way.',
  'tar.truncated': 'An archive ends inside an entry.',
  'tar.unsupported': 'An archive holds an entry of a kind that has no meaning in an image layer.',

  'unpack.escape': 'An entry names, or links to, a place outside the root.',
  'unpack.duplicate': 'A layer names the same path twice.',
  'unpack.collision':
    'A name differs from a directory or link only by case or Unicode form, or the file system folds case.',
  'unpack.parent': 'An entry lies below something that is not a directory.',
  'unpack.whiteout': 'A whiteout has a form that the image specification does not define.',
  'unpack.special': 'A device, FIFO or socket, which the unpack profile refuses.',
  'unpack.link': 'A hard link names something that is not in the image, or a directory.',
  'unpack.filesystem': 'The file system refused an operation: full, read-only, or without a feature that is needed.',
  'unpack.xattr': 'An extended attribute must be kept, and this machine cannot set it.',
  'unpack.limit': 'A layer exceeds a stated limit: bytes, entries, depth, path length, or time.',
  'unpack.target': 'The target exists already, or its parent cannot hold a private staging directory.',

  'registry.address':
    'An address that the registry policy does not allow: scheme, user information, host or network range.',
  'registry.redirect': 'A registry redirected to a place that the policy does not allow.',
  'registry.realm': 'A registry sent its clients to a token service that the policy does not allow.',
  'registry.denied': 'The registry refused the credentials, or none are configured for it.',
  'registry.not-found': 'The registry does not have this repository, manifest or blob.',
  'registry.protocol': 'The registry answered in a way that the distribution specification does not allow.',
  'registry.unavailable': 'The registry could not be reached, or kept failing until the last retry.',
  'registry.slow': 'The registry sends less than the least rate that is asked of it, or does not finish an answer.',

  'proxy.settings': 'The address of a proxy cannot be read, or is of a kind that is not known.',
  'proxy.denied': 'A proxy does not let us, or anybody, through to a registry.',
  'proxy.unavailable': 'A proxy could not be reached, opened no tunnel, or could not reach the registry.',

  'policy.refused': 'The verification hook refused the image.',
  'policy.malformed': 'A policy.json or registries.d file breaks its schema: nothing is allowed by such a file.',
  'policy.material': 'A key, certificate or configuration that a policy names cannot be read.',

  'key.malformed': 'A key file is not a key of the form that is wanted here.',
  'key.unsupported': 'A key is of a kind or size that image signatures are not made with.',
  'key.passphrase': 'A private key is encrypted and the passphrase is missing or wrong.',

  'signature.malformed': 'A signature, its payload, an envelope or a bundle breaks its format.',
  'signature.limit': 'An image carries more signatures, or larger ones, than the stated limits.',
  'signature.unverified': 'A signature does not verify under any of the keys that are trusted for it.',
  'signature.mismatch': 'A signature verifies, but speaks about another image, name or kind of statement.',
  'signature.untrusted':
    'A certificate, log entry or timestamp of a signature does not lead to the roots that are trusted.',

  'statement.malformed': 'An in-toto statement breaks its schema.',
  'encryption.required': 'A layer is plain where the caller demands encrypted layers.',
  'encryption.no-key': 'A layer is encrypted and no hook was given, or none of its keys opens it.',
  'encryption.wrong-key': 'None of the keys that were given opens a layer that has recipients of their scheme.',
  'encryption.malformed': 'The annotations, options or key packets of an encrypted layer break their form.',
  'encryption.cipher': 'A layer is encrypted with a cipher that is not known.',
  'encryption.public-nonce':
    'The public options of a layer carry a nonce, which whoever edits the manifest could choose.',
  'encryption.downgrade':
    'A layer claims to be encrypted and carries nothing to decrypt it with, or carries that and claims to be plain.',
  'encryption.authentication': 'The ciphertext of a layer does not have the HMAC that its options state.',
  'encryption.truncated': 'The ciphertext of a layer ends before the size that its descriptor states.',
  'encryption.mismatch': 'A decrypted layer does not have the digest that its private options promise.',
  'encryption.recipient': 'A public key, certificate or key file cannot be used with its encryption scheme.',
  'encryption.pkcs11': 'A PKCS#11 module, its token or its key cannot be used.',
  'encryption.provider': 'A key provider could not be reached, or answered that it failed.',

  'store.corrupt': 'A stored snapshot no longer has the content that was unpacked.',
  'store.missing': 'The local store does not hold this image.',
  'store.busy': 'The stored image is in use.',
  'store.profile': 'The store was made for another unpack profile: what lies there was unpacked by other rules.',
  'store.filesystem': 'The file system of the store cannot hold overlay snapshots.',

  aborted: 'The caller ended the operation.',
} as const

export type ImageErrorCode = keyof typeof IMAGE_ERROR_CODES

/** The one error of this package. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
  readonly code: ImageErrorCode
  /** The archive entry at fault, where there is one; bytes that are not UTF-8 are shown as `\xNN`. */
  declare readonly entry?: string
  /** @param message - For an operator: what was found, what was wanted, and where. */
  constructor(code: ImageErrorCode, message: string, options?: ErrorOptions & { readonly entry?: string }) {
    super(options?.entry === undefined ? message : `${JSON.stringify(options.entry)}: ${message}`, options)
    this.code = code
    if (options?.entry !== undefined) this.entry = options.entry
  }
}

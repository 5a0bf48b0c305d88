import type { Mutant } from './mutants-list.ts'

const encrypt = 'packages/image/src/encrypt'
const image = `${encrypt}/encrypt-image.test.ts`
const packet = `${encrypt}/coco-packet.test.ts`
const provider = `${encrypt}/provider/provider.test.ts`

/** The checks of encrypted layers, removed one at a time. */
export const IMAGE_ENCRYPTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'layer-hmac',
    file: `${encrypt}/layer-cipher.ts`,
    find: 'if (!timingSafeEqual(await hmac.digest(), publicOptions.hmac))',
    replace: 'if (false as boolean)',
    testFile: image,
    test: 'a flipped byte is refused with encryption.authentication',
  },
  {
    name: 'layer-cut',
    file: `${encrypt}/layer-cipher.ts`,
    find: 'if (size < expected.size)',
    replace: 'if (false as boolean)',
    testFile: image,
    test: 'a layer that ends before its size',
  },
  {
    name: 'layer-public-nonce',
    file: `${encrypt}/options.ts`,
    find: 'if (names.length > 0)',
    replace: 'if (false as boolean)',
    testFile: image,
    test: 'a nonce of the attacker is refused',
  },
  {
    name: 'layer-cipher',
    file: `${encrypt}/options.ts`,
    find: 'if (cipher !== CIPHER)',
    replace: 'if (false as boolean)',
    testFile: image,
    test: 'another cipher is refused',
  },
  {
    name: 'layer-without-recipients',
    file: `${encrypt}/annotations.ts`,
    find: 'if (packets.size === 0)',
    replace: 'if (false as boolean)',
    testFile: image,
    test: 'no recipients is refused',
  },
  {
    name: 'layer-said-to-be-plain',
    file: 'packages/image/src/unpack/open-layer.ts',
    find: 'assertPlain(descriptor)\n',
    replace: 'void assertPlain\n',
    testFile: image,
    test: 'a plain media type is refused with encryption.downgrade, and',
  },
  {
    name: 'packet-version',
    file: `${encrypt}/coco-packet.ts`,
    find: 'if (version !== VERSION)',
    replace: 'if (false as boolean)',
    testFile: packet,
    test: 'with another version are refused',
  },
  {
    name: 'packet-path',
    file: `${encrypt}/coco-packet.ts`,
    find: '|| /(?:^|\\/)\\.\\.?(?:\\/|$)/.test(path))',
    replace: ')',
    testFile: packet,
    test: 'kid kbs:///a/../b names nothing',
  },
  {
    name: 'provider-parameters',
    file: `${encrypt}/provider/broker-provider.ts`,
    find: "if (name !== 'keyid' && name !== 'algorithm')",
    replace: "if (name === '')",
    testFile: provider,
    test: 'parameter sample=true is refused',
  },
  {
    name: 'provider-wraps-anything',
    file: `${encrypt}/provider/broker-provider.ts`,
    find: "    parsePrivateOptions(asked.privateOptions, 'options to wrap')\n",
    replace: '',
    testFile: provider,
    test: 'what is no layer’s options is neither wrapped',
  },
  {
    name: 'provider-for-the-network',
    file: `${encrypt}/provider/grpc-server.ts`,
    find: 'if (isIP(at.host) === 0 || !/^(?:127\\.|::1$)/.test(at.host))',
    replace: 'if (isIP(at.host) === 0)',
    testFile: provider,
    test: 'listens to this machine only',
  },
  {
    name: 'provider-asked-in-clear',
    file: `${encrypt}/provider/grpc-client.ts`,
    find: 'if (tls === undefined && !/^(?:127\\.\\d+\\.\\d+\\.\\d+|localhost|\\[::1\\])$/.test(host))',
    replace: 'if (false as boolean)',
    testFile: provider,
    test: 'listens to this machine only',
  },
  {
    name: 'recipient-small-key',
    file: `${encrypt}/schemes/jwe.ts`,
    find: 'if (bits !== undefined && bits < MIN_RSA_BITS)',
    replace: 'if (false as boolean)',
    testFile: image,
    test: 'is not made for nobody',
  },
  {
    name: 'passphrase-on-command-line',
    file: 'packages/cli/src/commands/image/layer-keys.ts',
    find: "if (how === 'pass')",
    replace: 'if (false as boolean)',
    testFile: 'packages/cli/src/commands/image/image.test.ts',
    test: 'encrypt and decrypt give the image back',
  },
]

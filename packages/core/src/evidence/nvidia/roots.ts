import { fromBase64 } from '../../base/encoding.ts'
import { type Anchor, parseAnchor } from '../../x509/index.ts'

/** NVIDIA Device Identity CA, as NVIDIA publishes it with its attestation tools. */
const ROOT = `
  MIICCzCCAZCgAwIBAgIQLTZwscoQBBHB/sDoKgZbVDAKBggqhkjOPQQDAzA1MSIwIAYDVQQDDBlOVklESUEgRGV2aWNlIElkZW50aXR5IENBMQ8wDQYD
  VQQKDAZOVklESUEwIBcNMjExMTA1MDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMDUxIjAgBgNVBAMMGU5WSURJQSBEZXZpY2UgSWRlbnRpdHkgQ0ExDzAN
  BgNVBAoMBk5WSURJQTB2MBAGByqGSM49AgEGBSuBBAAiA2IABA5MFKM7+KViZljbQSlgfky/RRnEQScW9NDZF8SXgAW96r6u/Ve8ZggtcYpPi2BS4VFu
  6KfEIrhN6FcHG7WP05W+oM+hxj7nyA1r1jkB2Ry70YfThX3Ba1zOryOP+MJ9vaNjMGEwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYD
  VR0OBBYEFFeF/4PyY8xlfWi3Olv0jUrL+0lfMB8GA1UdIwQYMBaAFFeF/4PyY8xlfWi3Olv0jUrL+0lfMAoGCCqGSM49BAMDA2kAMGYCMQCPeFM3TASs
  KQVaT+8S0sO9u97PVGCpE9d/I42IT7k3UUOLSR/qvJynVOD1vQKVXf0CMQC+EY55WYoDBvs2wPAH1Gw4LbcwUN8QCff8bFmV4ZxjCRr4WXTLFHBKjbfn
  eGSBWwA=`

let root: Anchor | undefined

/** NVIDIA's genuine root for GPUs, of class `hardware`. Parsed at the first call. */
export function nvidiaDeviceRoot(): Anchor {
  root ??= parseAnchor(fromBase64(ROOT.replace(/\s/g, ''), 'NVIDIA Device Identity CA'), {
    class: 'hardware',
    name: 'NVIDIA Device Identity CA',
  })
  return root
}

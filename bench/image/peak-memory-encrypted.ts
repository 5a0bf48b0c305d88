import { ImageLayout, jweKeys, layerDecryptor, readPrivateKey, unpackImage } from '@vouchsafe/image'
import { readFileSync } from 'node:fs'

/** A process of its own, so that its peak is that of one decryption: prints bytes before and at most. */
const [layout = '', key = '', target = ''] = process.argv.slice(2)
const before = process.memoryUsage.rss()
const source = await ImageLayout.open(layout)
const holder = jweKeys([readPrivateKey(new Uint8Array(readFileSync(key)), key)])
await unpackImage(source, source.find('v1').digest, target, { decryptor: layerDecryptor([holder]) })
console.log(JSON.stringify({ before, peak: process.resourceUsage().maxRSS * 1024 }))

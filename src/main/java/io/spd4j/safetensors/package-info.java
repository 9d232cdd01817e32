/**
 * Reads and writes <a href="https://github.com/huggingface/safetensors#format">safetensors</a>
 * files.
 *
 * <p>A file consists of the size of its header (8 bytes, little-endian), the header (JSON: for each
 * tensor its name, element type, shape and place) and the tensors' bytes, little-endian and
 * row-major, with no gaps. {@link io.spd4j.safetensors.SafetensorsFile} maps one without copying,
 * {@link io.spd4j.safetensors.SafetensorsWriter} writes one, and both hold their tensors as {@link
 * io.spd4j.safetensors.Tensor}s. {@link io.spd4j.safetensors.AtomicFile} writes any other file as
 * safely.
 */
package io.spd4j.safetensors;

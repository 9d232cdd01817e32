/**
 * Reads and writes <a href="https://github.com/huggingface/safetensors#format">safetensors</a>
 * files.
 *
 * <p>A file is the size of its header (8 bytes, little-endian), the header (JSON: for each tensor
 * its name, element type, shape and place) and the tensors' bytes, little-endian and row-major,
 * with no gaps. {@link io.spd4j.safetensors.SafetensorsFile} maps one without copying, {@link
 * io.spd4j.safetensors.SafetensorsWriter} writes one, and a {@link io.spd4j.safetensors.Tensor} is
 * what both deal in.
 */
package io.spd4j.safetensors;

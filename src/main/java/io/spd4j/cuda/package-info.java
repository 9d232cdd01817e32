/**
 * CUDA devices from Java: memory as segments, copies, streams and graphs. The arrays that an
 * optimizer steps on a device lie in a {@link io.spd4j.cuda.DeviceArena}. {@link
 * io.spd4j.cuda.CudaStream#copy} copies them there and back, at full speed with a {@link
 * io.spd4j.cuda.PinnedArena}. Streams and memory of other libraries in the process can be used too
 * ({@link io.spd4j.cuda.CudaStream#ofHandle}, {@link io.spd4j.cuda.DeviceArena#wrap}).
 *
 * <p>Everything here is thread-safe. Sizes are in bytes. Invalid arguments throw an {@link
 * IllegalArgumentException} or a {@link NullPointerException}. Using what is closed throws an
 * {@link IllegalStateException}, and so does closing what another thread's call is using. In all
 * these cases nothing has changed. What CUDA itself refuses throws a {@link
 * io.spd4j.cuda.CudaException}. Nothing is freed while unfinished work uses it: arenas wait for the
 * work, and CUDA keeps what streams, events and graphs need. What is not closed is not freed.
 *
 * <p>Calls make their device the thread's current one and then restore the previous one.
 *
 * <p>libspd4j_cuda contains the CUDA runtime; an NVIDIA driver must be installed. {@link
 * io.spd4j.cuda.Cuda#availability} tells whether CUDA can be used.
 */
package io.spd4j.cuda;

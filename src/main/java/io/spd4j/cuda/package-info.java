/**
 * CUDA devices from Java: memory as segments, copies, streams and graphs. What an optimizer steps
 * on a device lies in a {@link io.spd4j.cuda.DeviceArena} and goes there and back by {@link
 * io.spd4j.cuda.CudaStream#copy}, at full speed from a {@link io.spd4j.cuda.PinnedArena}; streams
 * and memory of other libraries in the process can be used, too ({@link
 * io.spd4j.cuda.CudaStream#ofHandle}, {@link io.spd4j.cuda.DeviceArena#wrap}).
 *
 * <p>All of it is thread-safe. Sizes are bytes. Faults of the arguments are {@link
 * IllegalArgumentException}s or {@link NullPointerException}s, use of what is closed is an {@link
 * IllegalStateException}, and so is to close what a call of another thread is using; nothing has
 * happened then. What CUDA itself refuses is a {@link io.spd4j.cuda.CudaException}. Nothing is
 * freed under work that is not done: arenas wait for it, streams, events and graphs leave it to
 * CUDA. What is not closed is not freed.
 *
 * <p>Calls have their device as the thread's current one and restore the one before.
 *
 * <p>libspd4j_cuda brings the CUDA runtime, an NVIDIA driver has to be installed: {@link
 * io.spd4j.cuda.Cuda#availability} tells.
 */
package io.spd4j.cuda;

/**
 * Ranks: the processes of a job that {@code mpirun} started, on one machine or many, and what they
 * send each other, through the C library of an installed MPI. Open MPI and MPICH work, and MPIs
 * with the ABI of one of them. Nothing is added up on the way: bytes arrive as they were sent, so
 * that results can be made independent of the number of ranks.
 *
 * <p>{@link io.spd4j.mpi.Mpi} joins the job. All ranks call the same collectives in the same order.
 * A rank that fails or closes early ends the others with an {@link io.spd4j.mpi.MpiException}; one
 * that is killed has mpirun end them.
 */
package io.spd4j.mpi;

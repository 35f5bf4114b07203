/**
 * The errors a hypercall answers with, negated: `-Errno.EINVAL`. xen/include/public/errno.h (Linux's numbers).
 */
export const Errno = {
  /** Operation not permitted. */
  EPERM: 1,
  /** No such file or directory. */
  ENOENT: 2,
  /** No such process. */
  ESRCH: 3,
  /** Interrupted system call. */
  EINTR: 4,
  /** I/O error. */
  EIO: 5,
  /** No such device or address. */
  ENXIO: 6,
  /** Arg list too long. */
  E2BIG: 7,
  /** Exec format error. */
  ENOEXEC: 8,
  /** Bad file number. */
  EBADF: 9,
  /** No child processes. */
  ECHILD: 10,
  /** Try again. */
  EAGAIN: 11,
  /** Operation would block; Aliases EAGAIN. */
  EWOULDBLOCK: 11,
  /** Out of memory. */
  ENOMEM: 12,
  /** Permission denied. */
  EACCES: 13,
  /** Bad address. */
  EFAULT: 14,
  /** Device or resource busy. */
  EBUSY: 16,
  /** File exists. */
  EEXIST: 17,
  /** Cross-device link. */
  EXDEV: 18,
  /** No such device. */
  ENODEV: 19,
  /** Not a directory. */
  ENOTDIR: 20,
  /** Is a directory. */
  EISDIR: 21,
  /** Invalid argument. */
  EINVAL: 22,
  /** File table overflow. */
  ENFILE: 23,
  /** Too many open files. */
  EMFILE: 24,
  /** No space left on device. */
  ENOSPC: 28,
  /** Read-only file system. */
  EROFS: 30,
  /** Too many links. */
  EMLINK: 31,
  /** Math argument out of domain of func. */
  EDOM: 33,
  /** Math result not representable. */
  ERANGE: 34,
  /** Resource deadlock would occur. */
  EDEADLK: 35,
  /** Resource deadlock would occur. Aliases EDEADLK. */
  EDEADLOCK: 35,
  /** File name too long. */
  ENAMETOOLONG: 36,
  /** No record locks available. */
  ENOLCK: 37,
  /** Function not implemented. */
  ENOSYS: 38,
  /** Directory not empty. */
  ENOTEMPTY: 39,
  /** No data available. */
  ENODATA: 61,
  /** Timer expired. */
  ETIME: 62,
  /** Not a data message. */
  EBADMSG: 74,
  /** Value too large for defined data type. */
  EOVERFLOW: 75,
  /** Illegal byte sequence. */
  EILSEQ: 84,
  /** Interrupted system call should be restarted. */
  ERESTART: 85,
  /** Socket operation on non-socket. */
  ENOTSOCK: 88,
  /** Message too large. */
  EMSGSIZE: 90,
  /** Operation not supported on transport endpoint. */
  EOPNOTSUPP: 95,
  /** Address already in use. */
  EADDRINUSE: 98,
  /** Cannot assign requested address. */
  EADDRNOTAVAIL: 99,
  /** No buffer space available. */
  ENOBUFS: 105,
  /** Transport endpoint is already connected. */
  EISCONN: 106,
  /** Transport endpoint is not connected. */
  ENOTCONN: 107,
  /** Connection timed out. */
  ETIMEDOUT: 110,
  /** Connection refused. */
  ECONNREFUSED: 111,
} as const;
export type Errno = (typeof Errno)[keyof typeof Errno];

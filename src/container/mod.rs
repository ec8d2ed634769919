//! Files of media as bytes: what a recording is written into, read from and repaired. Pure: no clock, no tasks, and files
//! only as anything that reads, writes and seeks.

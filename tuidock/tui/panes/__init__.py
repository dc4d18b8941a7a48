"""What is shown of containers, images and volumes: a file for each list and each tab."""

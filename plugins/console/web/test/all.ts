import "./api";
import "./forms";
import "./money";
import "./sources";
import "./stream";
import "./texts";
